"""Reply: one generation's tokens as the deltas that its reader gets."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rose_guard.engines.answer_parser import Parts, PlainParser
from rose_guard.engines.engine import Contrast, Delta, Timing, TokenLogprob, Usage
from rose_guard.engines.text import Detokenizer, StopStrings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

    from rose_guard.decoding.generation import Generation, Step
    from rose_guard.engines.answer_parser import AnswerParser


class Reply:
    """Turns steps into text, and ends at a stop string.

    Args:
        generation: where the steps come from.
        tokenizer: what reads them.
        stop: the answer ends before the first of these strings.
        index: which of the request's answers this is.
        started: when the request came, by ``time.perf_counter``.
        begun: tokens at the end of the prompt that the answer begins with.
        parser: parts what the model writes; all is text unless given.
        tags: special tokens that the parser must see.
    """

    def __init__(
        self,
        generation: Generation,
        tokenizer: PreTrainedTokenizerBase,
        stop: Sequence[str],
        *,
        index: int,
        started: float,
        begun: Sequence[int] = (),
        parser: AnswerParser | None = None,
        tags: frozenset[int] = frozenset(),
    ) -> None:
        self.generation = generation
        self.finished = False
        self._tokenizer = tokenizer
        self._parser = parser or PlainParser()
        self._detokenizer = Detokenizer(tokenizer, begun, tags)
        self._stops = StopStrings(stop, str(tokenizer.decode(list(begun))))
        self._index, self._started, self._first_token = index, started, 0.0
        self._prompt_tokens = len(generation.positive.prompt.ids) - len(begun)
        self._generated = self._told = self._contrasted = self._changed = 0

    def push(self, steps: Sequence[Step]) -> Delta | None:
        """The delta of these steps, if there is anything to tell. Sets ``finished`` with the last one."""
        text, logprobs = "", []
        if not self._generated:
            self._first_token = time.perf_counter()
        for step in steps:
            self._generated += 1
            self._contrasted += step.contrasted
            self._changed += step.changed
            if step.logprob is not None:
                logprobs.append(self._logprob(step))
            text += self._stops.push(self._detokenizer.push(step.token_id) if step.finish != "stop" else "")
            if step.finish or self._stops.found:
                return self._last(text, tuple(logprobs), step)
        parts = self._parser.push(text)
        if parts == Parts() and not logprobs:
            return None
        return Delta(
            **_fields(parts),
            index=self._index,
            logprobs=tuple(logprobs),
            tokens=self._untold(),
            prompt_tokens=self._prompt_tokens,
        )

    def _last(self, text: str, logprobs: tuple[TokenLogprob, ...], step: Step) -> Delta:
        self.finished = True
        text += self._stops.push(self._detokenizer.flush()) + self._stops.flush()
        parts = self._parser.push(text) + self._parser.flush(cut=step.finish != "stop")
        return Delta(
            **_fields(parts),
            finish_reason="length" if step.finish == "length" and not self._stops.found else "stop",
            usage=Usage(self._prompt_tokens, self._generated),
            contrast=Contrast(self._contrasted, self._changed),
            timing=Timing(
                seconds=time.perf_counter() - self._started,
                first_token_s=self._first_token - self._started,
                **asdict(self.generation.counts),
            ),
            index=self._index,
            logprobs=logprobs,
            tokens=self._untold(),
            prompt_tokens=self._prompt_tokens,
        )

    def _untold(self) -> int:
        """Tokens since the last delta."""
        told, self._told = self._told, self._generated
        return self._generated - told

    def _logprob(self, step: Step) -> TokenLogprob:
        assert step.logprob is not None
        top = tuple((self._text(token_id), logprob) for token_id, logprob in step.top_logprobs)
        return TokenLogprob(self._text(step.token_id), step.logprob, top)

    def _text(self, token_id: int) -> str:
        return str(self._tokenizer.decode([token_id]))


def _fields(parts: Parts) -> dict[str, Any]:
    """Of a delta."""
    return {
        "text": parts.text,
        "reasoning": parts.reasoning,
        "tool_calls": parts.tool_calls,
        "broken_call": parts.broken_call,
    }
