"""GenerationOptions: what a caller may choose of one answer, and on whose behalf."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rose_guard.decoding.settings import RoseSettings
from rose_guard.errors import SettingsError

if TYPE_CHECKING:
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
        principal: whose conversation it is, as authenticated. What was read of it is kept for this principal's later
            turns alone, and risky turns are counted over all of this principal's threads. None keeps nothing.
        thread: which conversation this turn belongs to; risky turns of someone without a principal are counted by it.
        tenant: whose rules hold, as authenticated; only where the guard is not one tenant's own.

    Raises:
        SettingsError: if max_new_tokens or n is below 1, a stop string is empty or no text, or a principal, thread or
            tenant is neither None nor a name.
    """

    settings: RoseSettings = field(default_factory=RoseSettings)
    max_new_tokens: int = 256
    stop: tuple[str, ...] = ()
    language: str = "en"
    n: int = 1
    logprobs: int | None = None
    constraint: Constraint | None = None
    principal: str | None = field(default=None, repr=False)
    thread: str | None = field(default=None, repr=False)
    tenant: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.n, int) or self.n < 1:
            raise SettingsError(f"n = {self.n!r}: must be a whole number of at least 1")
        if not isinstance(self.max_new_tokens, int) or self.max_new_tokens < 1:
            raise SettingsError(f"max_new_tokens = {self.max_new_tokens!r}: must be a whole number of at least 1")
        if isinstance(self.stop, str) or not all(isinstance(stop, str) and stop for stop in self.stop):
            raise SettingsError("stop must be a list of non-empty texts")
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
