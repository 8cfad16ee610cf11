"""GenerationOptions: what a caller may choose of one answer, and on whose behalf."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rose_guard.decoding.settings import RoseSettings
from rose_guard.engines.engine import Tool
from rose_guard.errors import SettingsError
from rose_guard.guard.ruling import Ruling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.engines.engine import Constraint


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """What a caller may choose of one answer.

    Args:
        settings: how tokens are chosen; its alpha and horizon are the policy's choice and are replaced.
        max_new_tokens: limit of the answer, in tokens.
        stop: the answer ends before the first of these strings.
        language: code of the language for prompts and messages, where the policy has it.
        n: how many answers; they differ where tokens are drawn.
        logprobs: None, or for how many of the likeliest tokens log-probabilities are told.
        constraint: a grammar that answers must follow.
        tools: what the model is told that it may call.
        answer_schema: JSON Schema that the model is told its answers follow; a constraint sees to it.
        principal: whose conversation it is, as authenticated. What was read of it is kept for this principal's later
            turns alone, and risky turns are counted over all of this principal's threads. None keeps nothing.
        thread: which conversation this turn belongs to; risky turns of someone without a principal are counted by it.
        tenant: whose rules hold, as authenticated; only where the guard is not one tenant's own.
        ruling: a decision made elsewhere; where it is stricter than the guard's own, it holds.

    Raises:
        SettingsError: if max_new_tokens or n is below 1, a stop string is empty or no text, a tool is no Tool, a ruling
            is no Ruling, or a principal, thread or tenant is neither None nor a name.
    """

    settings: RoseSettings = field(default_factory=RoseSettings)
    max_new_tokens: int = 256
    stop: tuple[str, ...] = ()
    language: str = "en"
    n: int = 1
    logprobs: int | None = None
    constraint: Constraint | None = None
    tools: tuple[Tool, ...] = ()
    answer_schema: Mapping[str, Any] | None = field(default=None, repr=False)
    principal: str | None = field(default=None, repr=False)
    thread: str | None = field(default=None, repr=False)
    tenant: str | None = None
    ruling: Ruling | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.n, int) or self.n < 1:
            raise SettingsError(f"n = {self.n!r}: must be a whole number of at least 1")
        if not isinstance(self.max_new_tokens, int) or self.max_new_tokens < 1:
            raise SettingsError(f"max_new_tokens = {self.max_new_tokens!r}: must be a whole number of at least 1")
        if isinstance(self.stop, str) or not all(isinstance(stop, str) and stop for stop in self.stop):
            raise SettingsError("stop must be a list of non-empty texts")
        if not isinstance(self.tools, tuple) or not all(isinstance(tool, Tool) for tool in self.tools):
            raise SettingsError(
                "tools must be a tuple of Tool values, each with a name, a description and a JSON Schema"
            )
        if not isinstance(self.ruling, Ruling | None):
            raise SettingsError("a ruling must be a Ruling, made in this process; one that was sent is no ruling")
        for name in ("principal", "thread", "tenant"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and value and _is_utf8(value)):
                raise SettingsError(f"{name} must be a name, or None for nobody's")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
