"""The Engine protocol and the values that cross it. Imports no torch; knows no policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from rose_guard.decoding.settings import RoseSettings
from rose_guard.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from rose_guard.message import Message


@dataclass(frozen=True, slots=True)
class ReversePrompt:
    """A system prompt to steer away from.

    Args:
        text: what it says; never shown in a repr, a log or an error.
        weight: its share of the request's ``settings.alpha``, relative to the other reverse prompts.
    """

    text: str = field(repr=False)
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What an engine is asked for.

    Args:
        messages: the conversation, the user's own system message included.
        safe_prompt: read before the user's system message by the positive branch; None adds nothing.
        reverse_prompts: each is read in the safe prompt's place by a branch of its own; none is plain decoding.
        settings: how tokens are chosen.
        max_new_tokens: limit of the answer, in tokens.
        stop: the answer ends before the first of these strings.

    Raises:
        SettingsError: if a stop string is empty, or alpha is 0 where there are reverse prompts.
    """

    messages: tuple[Message, ...] = field(repr=False)
    safe_prompt: str | None = field(default=None, repr=False)
    reverse_prompts: tuple[ReversePrompt, ...] = ()
    settings: RoseSettings = field(default_factory=lambda: RoseSettings(alpha=0.0))
    max_new_tokens: int = 256
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(isinstance(stop, str) and stop for stop in self.stop):
            raise SettingsError("stop strings must be non-empty text")
        if bool(self.reverse_prompts) != (self.settings.alpha > 0.0):
            raise SettingsError("a contrast needs both reverse prompts and an alpha above 0")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read by the positive branch, and tokens generated (the end-of-sequence token included)."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Contrast:
    """What the contrast did: tokens chosen with every reverse branch, and those where it moved the top score."""

    contrasted_tokens: int
    changed_tokens: int


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer; the last one carries how it ended.

    Args:
        text: what to append to the answer; may be empty.
        finish_reason: on the last delta: ``stop``, ``length``, or ``content_filter`` where the model did not run.
        usage: on the last delta.
        contrast: on the last delta.
        seconds: on the last delta, time spent in the engine.
    """

    text: str
    finish_reason: Literal["stop", "length", "content_filter"] | None = None
    usage: Usage | None = None
    contrast: Contrast | None = None
    seconds: float | None = None


@runtime_checkable
class Engine(Protocol):
    """A runtime that decodes. Closing a stream before its end frees its place within one step.

    Raises (from both methods, before or between deltas): InputError, ContextLengthError, SettingsError,
    DecodingError or EngineOverloadedError; a token is never given out without the contrast that was due.
    """

    @property
    def model_id(self) -> str:
        """What is being run: a hub id, a path or a name, with its revision and dtype."""
        ...

    def stream(self, request: GenerationRequest) -> Generator[Delta]:
        """Generate, blocking the calling thread between deltas."""
        ...

    def astream(self, request: GenerationRequest) -> AsyncGenerator[Delta]:
        """Generate without blocking the event loop."""
        ...

    def token_ids(self, text: str) -> list[int]:
        """A text in the model's tokens, control markup read as text."""
        ...
