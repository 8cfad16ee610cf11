"""rose_guard: a guardrail for local language models in LangChain.

Names are looked up when first used, so that ``import rose_guard`` loads neither torch nor LangChain.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rose_guard.assessment import RiskAssessment
    from rose_guard.audit.log import AuditLog
    from rose_guard.decoding.settings import RoseSettings
    from rose_guard.errors import (
        AuditError,
        ClassifierError,
        ContextLengthError,
        ConversationMemoryError,
        DecodingError,
        EngineOverloadedError,
        InputError,
        ModelLoadError,
        PolicyError,
        PolicyViolation,
        RoseGuardError,
        SettingsError,
        TruncatedAnswerError,
    )
    from rose_guard.guard import Guard
    from rose_guard.langchain.chat_model import ChatRose
    from rose_guard.langchain.embeddings import RoseEmbeddings
    from rose_guard.langchain.foreign import GuardedChatModel
    from rose_guard.langchain.llm import RoseLLM
    from rose_guard.langchain.middleware import RoseGuardMiddleware
    from rose_guard.langchain.untrusted import untrusted
    from rose_guard.message import Message, ToolCall
    from rose_guard.policy.decision import Decision
    from rose_guard.policy.live import LivePolicy
    from rose_guard.policy.policy import Policy
    from rose_guard.risk.classifier import RiskClassifier

_HOMES = {
    "AuditError": "rose_guard.errors",
    "AuditLog": "rose_guard.audit.log",
    "ChatRose": "rose_guard.langchain.chat_model",
    "ClassifierError": "rose_guard.errors",
    "ContextLengthError": "rose_guard.errors",
    "ConversationMemoryError": "rose_guard.errors",
    "Decision": "rose_guard.policy.decision",
    "DecodingError": "rose_guard.errors",
    "EngineOverloadedError": "rose_guard.errors",
    "Guard": "rose_guard.guard",
    "GuardedChatModel": "rose_guard.langchain.foreign",
    "InputError": "rose_guard.errors",
    "LivePolicy": "rose_guard.policy.live",
    "Message": "rose_guard.message",
    "ModelLoadError": "rose_guard.errors",
    "Policy": "rose_guard.policy.policy",
    "PolicyError": "rose_guard.errors",
    "PolicyViolation": "rose_guard.errors",
    "RiskAssessment": "rose_guard.assessment",
    "RiskClassifier": "rose_guard.risk.classifier",
    "RoseEmbeddings": "rose_guard.langchain.embeddings",
    "RoseGuardError": "rose_guard.errors",
    "RoseGuardMiddleware": "rose_guard.langchain.middleware",
    "RoseLLM": "rose_guard.langchain.llm",
    "RoseSettings": "rose_guard.decoding.settings",
    "SettingsError": "rose_guard.errors",
    "ToolCall": "rose_guard.message",
    "TruncatedAnswerError": "rose_guard.errors",
    "untrusted": "rose_guard.langchain.untrusted",
}

__all__ = [  # noqa: RUF022 - in the order a reader meets them
    "ChatRose",
    "RoseLLM",
    "RoseGuardMiddleware",
    "GuardedChatModel",
    "untrusted",
    "RoseEmbeddings",
    "Guard",
    "Policy",
    "LivePolicy",
    "Decision",
    "RiskAssessment",
    "RiskClassifier",
    "RoseSettings",
    "AuditLog",
    "Message",
    "ToolCall",
    "RoseGuardError",
    "PolicyViolation",
    "PolicyError",
    "ModelLoadError",
    "InputError",
    "ContextLengthError",
    "SettingsError",
    "ClassifierError",
    "ConversationMemoryError",
    "AuditError",
    "DecodingError",
    "TruncatedAnswerError",
    "EngineOverloadedError",
]

try:
    __version__ = version("rose-guard")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rose_guard' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
