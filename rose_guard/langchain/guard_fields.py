"""GuardFields: what every guarded LangChain model is told of its guard, local or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, InstanceOf

from rose_guard.audit.trail import AuditTrail
from rose_guard.langchain.loading import DEFAULT
from rose_guard.memory.memory import ConversationMemory
from rose_guard.policy.live import LivePolicy
from rose_guard.policy.policy import Policy
from rose_guard.risk.answer_classifier import AnswerClassifier
from rose_guard.risk.classifier import RiskClassifier

CONFIG = ConfigDict(arbitrary_types_allowed=True, extra="forbid", populate_by_name=True, protected_namespaces=())
"""A misspelled argument is an error; models repeat this, since LangChain's base classes would ignore it."""


class GuardFields(BaseModel):
    """Who decides, who is told, whose turn it is."""

    model_config = CONFIG

    policy: InstanceOf[Policy] | InstanceOf[LivePolicy] | str | Path | None = Field(
        default=DEFAULT, exclude=True, repr=False
    )
    """A policy, the path of a policy file, ``"default"``, a LivePolicy, or None to decode plainly."""
    classifier: InstanceOf[RiskClassifier] | None = Field(default=None, exclude=True, repr=False)
    """What scores risk; None uses the embedded classifier where the policy needs scores."""
    answer_classifier: InstanceOf[AnswerClassifier] | None = Field(default=None, exclude=True, repr=False)
    """What scores answers; None uses the embedded one where the policy checks them."""
    memory: InstanceOf[ConversationMemory] | None = Field(default=None, exclude=True, repr=False)
    """Where risky turns are counted; None counts in this process."""
    audit: InstanceOf[AuditTrail] | None = Field(default=None, exclude=True, repr=False)
    """Where decisions and verdicts are recorded before anything is shown; None records nothing."""
    on_notify: Callable[..., Any] | None = Field(default=None, exclude=True, repr=False)
    """Called with a decision that a rule wants a human to see."""
    principal: str | None = Field(default=None, exclude=True, repr=False)
    """Whose conversations these are, as authenticated. What was read of them is kept for this principal's next turns,
    which then begin sooner, and risky turns are counted over all of this principal's threads. None keeps nothing; never
    fill it from what a client sends."""
    thread: str | None = Field(default=None, exclude=True, repr=False)
    """Which conversation it is; risky turns of someone without a principal are counted by it."""
    tenant: str | None = Field(default=None, exclude=True)
    """Whose rules of the policy hold; never fill it from what a client sends."""
    language: str = "en"
    """Language of prompts and messages, where the policy has it."""
    expose: Literal["summary", "debug"] = "summary"
    """``debug`` adds scores, reason, contrast and timing to ``response_metadata["rose"]``."""
