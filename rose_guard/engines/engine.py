"""The Engine protocol and the values that cross it. Imports no torch; knows no policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from rose_guard.decoding.settings import RoseSettings
from rose_guard.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence

    from rose_guard.message import Message, ToolCall

_MOST_LOGPROBS = 20


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
class Tool:
    """A tool that a model may call.

    Args:
        name: of the function.
        description: what it does, for the model to read.
        parameters: JSON Schema of its arguments, an object's.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})


class Constraint(Protocol):
    """A grammar that the answer must follow, whatever engine and tokenizer produce it.

    One with an ``identity``, a text that no other has, lets answers be kept for conversations that come again.
    """

    def token_mask(self, tokenizer: Any, vocabulary: int, ends: Collection[int] = ()) -> Any:
        """A fresh :class:`~rose_guard.decoding.generation.TokenMask` for one answer.

        Args:
            tokenizer: in whose tokens.
            vocabulary: how many token ids the model has.
            ends: ids that end an answer, beside the tokenizer's own.
        """
        ...


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
        n: how many answers; the i-th is drawn with ``settings.seed + i``.
        logprobs: None, or for how many of the likeliest tokens log-probabilities are told, beside the chosen one's.
        constraint: a grammar; its mask acts on the contrasted scores.
        principal: whose conversation it is, as authenticated. What was read of it is kept for this principal's later
            requests alone; None keeps nothing.
        begun: how the answer begins; decoding goes on behind it, and the deltas hold what follows.
        tools: what the model is told that it may call.
        answer_schema: JSON Schema that the model is told its answer follows; a constraint sees to it.

    Raises:
        SettingsError: if a stop string is empty, ``n`` or ``logprobs`` is out of range, or alpha is 0 where there are
            reverse prompts.
    """

    messages: tuple[Message, ...] = field(repr=False)
    safe_prompt: str | None = field(default=None, repr=False)
    reverse_prompts: tuple[ReversePrompt, ...] = ()
    settings: RoseSettings = field(default_factory=lambda: RoseSettings(alpha=0.0))
    max_new_tokens: int = 256
    stop: tuple[str, ...] = ()
    n: int = 1
    logprobs: int | None = None
    constraint: Constraint | None = None
    principal: str | None = field(default=None, repr=False)
    begun: str = field(default="", repr=False)
    tools: tuple[Tool, ...] = ()
    answer_schema: Mapping[str, Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not all(isinstance(stop, str) and stop for stop in self.stop):
            raise SettingsError("stop strings must be non-empty text")
        if self.n < 1:
            raise SettingsError(f"n = {self.n}: must be at least 1")
        if self.logprobs is not None and not 0 <= self.logprobs <= _MOST_LOGPROBS:
            raise SettingsError(f"logprobs = {self.logprobs}: must be None, or 0 to {_MOST_LOGPROBS}")
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
class Timing:
    """How long an answer took, and what was saved.

    Args:
        seconds: from the request to its last token, waiting included.
        first_token_s: from the request to its first token.
        prompt_tokens: tokens of all branches' prompts.
        cached_tokens: those that did not have to be read, since an earlier request began alike.
        drafted_tokens: tokens guessed by prompt lookup.
        accepted_tokens: guesses that were right.
    """

    seconds: float = 0.0
    first_token_s: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A chosen token, its log-probability under the (contrasted) scores, and the likeliest ones with theirs."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of an answer; the last one carries how it ended.

    Args:
        text: what to append to the answer; may be empty.
        finish_reason: on the last delta: ``stop``, ``length``, or ``content_filter`` where the guard ended it.
        usage: on the last delta.
        contrast: on the last delta.
        timing: on the last delta.
        index: which of the request's ``n`` answers.
        logprobs: of the tokens since the delta before, where asked for; tokens and text need not end together.
        tokens: how many tokens were decoded since the delta before.
        prompt_tokens: how many the positive branch read of the conversation.
        reasoning: what the model thought before its answer, to append to what it thought so far; no part of ``text``.
        tool_calls: calls that are complete now; what spells them in the model's own syntax is no part of ``text``.
        broken_call: a call that could not be read, as the model wrote it.
    """

    text: str
    finish_reason: Literal["stop", "length", "content_filter"] | None = None
    usage: Usage | None = None
    contrast: Contrast | None = None
    timing: Timing | None = None
    index: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()
    tokens: int = 0
    prompt_tokens: int = 0
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    broken_call: str = ""

    @property
    def shown(self) -> str:
        """Everything that a reader would get to see, in words: what the thoughts, the text and the calls say."""
        calls = "".join(f"\n{call.text}\n" for call in self.tool_calls)
        return f"{self.reasoning}{self.text}{calls}{self.broken_call}"


class DeltaStream(Protocol):
    """Deltas as they come; closing it, or dropping it, frees its place within one step."""

    def __iter__(self) -> Iterator[Delta]:
        """Itself."""
        ...

    def __next__(self) -> Delta:
        """The next delta; blocks until there is one."""
        ...

    def close(self) -> None:
        """Stop decoding."""
        ...


class AsyncDeltaStream(Protocol):
    """As :class:`DeltaStream`, without blocking the event loop; cancelling its reader closes it."""

    def __aiter__(self) -> AsyncIterator[Delta]:
        """Itself."""
        ...

    async def __anext__(self) -> Delta:
        """The next delta."""
        ...

    async def aclose(self) -> None:
        """Stop decoding."""
        ...


@runtime_checkable
class Engine(Protocol):
    """A runtime that decodes, many requests at once.

    Raises (from both streams, at once or between deltas): InputError, ContextLengthError, SettingsError,
    DecodingError or EngineOverloadedError; a token is never given out without the contrast that was due.
    """

    @property
    def model_id(self) -> str:
        """What is being run: a hub id, a path or a name, with its revision and dtype."""
        ...

    def stream(self, request: GenerationRequest) -> DeltaStream:
        """Begin to generate; the request is under way when this returns."""
        ...

    def streams(self, requests: Sequence[GenerationRequest]) -> Sequence[DeltaStream]:
        """As :meth:`stream`, for requests that begin together; if one is refused, none is under way."""
        ...

    def astream(self, request: GenerationRequest) -> AsyncDeltaStream:
        """Generate without blocking the event loop; begins when first read."""
        ...

    def token_ids(self, text: str) -> list[int]:
        """A text in the model's tokens, control markup read as text."""
        ...
