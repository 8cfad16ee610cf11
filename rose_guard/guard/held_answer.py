"""HeldAnswer: what waits until it has been checked. Pure; knows neither classifier nor engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rose_guard.engines.engine import Usage

if TYPE_CHECKING:
    from rose_guard.engines.engine import Delta


class HeldAnswer:
    """An answer on its way out, its last tokens held back.

    Windows overlap: each holds the tokens that wait and as many released ones as still fit, so that what begins in one
    window and ends in the next is read together.

    Args:
        window_tokens: how many tokens are scored together.
        hold_back_tokens: how many wait before they are scored; what is left at the end is scored too.
        index: which of several answers it is.
    """

    def __init__(self, window_tokens: int, hold_back_tokens: int, index: int = 0) -> None:
        self._window_tokens, self._hold_back_tokens, self._index = window_tokens, hold_back_tokens, index
        self._released: list[Delta] = []
        self._held: list[Delta] = []
        self._decoded = self._prompt_tokens = self._waiting = 0
        self._whole = True

    def push(self, delta: Delta) -> None:
        """Take what was decoded."""
        self._held.append(delta)
        self._decoded += delta.tokens
        self._waiting += _tokens([delta])
        self._prompt_tokens = delta.prompt_tokens

    @property
    def due(self) -> bool:
        """Whether what waits must be scored, or released, now."""
        return bool(self._held) and (
            self._held[-1].finish_reason is not None or self._waiting >= self._hold_back_tokens
        )

    @property
    def window(self) -> str:
        """What to score: what waits, behind what was released before it; empty where nothing to be read waits."""
        if not any(delta.shown for delta in self._held):
            return ""
        room = self._window_tokens - self._waiting
        before: list[Delta] = []
        for delta in reversed(self._released):
            if room <= 0:
                break
            before.append(delta)  # the last one may reach further back: a window is never shorter than it should be
            room -= _tokens([delta])
        return _shown([*reversed(before), *self._held])

    @property
    def text(self) -> str:
        """The text released so far, without thoughts and tool calls."""
        return "".join(delta.text for delta in self._released)

    @property
    def is_text_alone(self) -> bool:
        """Whether neither a thought nor a tool call was released, so that the text is all that was."""
        return self.text == _shown(self._released)

    @property
    def tokens(self) -> int:
        """How many tokens were released."""
        return _tokens(self._released)

    @property
    def usage(self) -> Usage:
        """Tokens read and decoded so far, those thrown away included."""
        return Usage(self._prompt_tokens, self._decoded)

    @property
    def end(self) -> tuple[Delta, str]:
        """The last delta as it will be given out, and all that will have been shown then."""
        return self._last(self._held[-1]), _shown([*self._released, *self._held])

    @property
    def end_tokens(self) -> int:
        """How many tokens the whole answer has, what waits included."""
        return self.tokens + self._waiting

    def release(self) -> list[Delta]:
        """What waited, to be given out.

        The last delta of all carries the usage of every attempt, and the log-probabilities of an answer that is shown
        whole: they name tokens, and a token may come before its text does.
        """
        released, self._held, self._waiting = self._held, [], 0
        self._released += released
        return [
            self._last(delta) if delta.finish_reason else replace(delta, index=self._index, usage=None, logprobs=())
            for delta in released
        ]

    def discard(self) -> None:
        """Throw away what waits."""
        self._held, self._waiting, self._whole = [], 0, False

    def _last(self, delta: Delta) -> Delta:
        whole = self._whole and delta.finish_reason != "content_filter"
        logprobs = tuple(each for one in self._released for each in one.logprobs) if whole else ()
        return replace(delta, index=self._index, usage=self._usage_with(delta), logprobs=logprobs)

    def _usage_with(self, last: Delta) -> Usage:
        """What was counted, or what the engine says at the end where it does not count by the delta."""
        return self.usage if self._decoded or last.usage is None else last.usage


def _tokens(deltas: list[Delta]) -> int:
    return sum(max(1, delta.tokens) for delta in deltas if delta.shown or delta.tokens)


def _shown(deltas: list[Delta]) -> str:
    return "".join(delta.shown for delta in deltas)
