"""Unlooped: a grammar under which no text within JSON goes round in circles until the limit cuts the JSON in two."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from torch import Tensor

    from rose_guard.engines.engine import Constraint

LOOP_TOKENS = 32
"""So many tokens of the same few over and over are a loop."""
LONGEST_PERIOD = 16
"""How many tokens are over and over at most."""
_QUOTE = '"'


@dataclass(frozen=True, slots=True)
class Unlooped:
    """What a constraint admits; where a text loops in an answer that has used up half of its limit, only its end.

    Small models that choose the likeliest token repeat themselves for ever, and a grammar admits that in any text
    without bounds. Half a structure is none, so such a text is ended, and there is room for the rest. Answers of less
    than half of their limit, or whose texts do not loop, are what they are without this.

    Args:
        constraint: what else holds.
        max_tokens: the answer's limit.
    """

    constraint: Constraint
    max_tokens: int

    @property
    def identity(self) -> str | None:
        """By which kept answers tell this constraint from others; None where nothing tells the inner one."""
        inner = getattr(self.constraint, "identity", None)
        return f"unlooped {self.max_tokens} {inner}" if inner else None

    def token_mask(self, tokenizer: Any, vocabulary: int, ends: Collection[int] = ()) -> Callable[..., Tensor]:
        """As :class:`~rose_guard.engines.engine.Constraint` says."""
        mask = self.constraint.token_mask(tokenizer, vocabulary, ends)

        def unlooped(generated: Sequence[int]) -> Tensor:
            allowed: Tensor = mask(generated)
            if len(generated) * 2 <= self.max_tokens or not (loop := loop_at_end(generated)):
                return allowed
            ending = allowed & _quoting(tokenizer, vocabulary)
            return ending if _QUOTE not in tokenizer.decode(loop) and bool(ending.any()) else allowed

        return unlooped


def loop_at_end(generated: Sequence[int]) -> list[int]:
    """The few tokens that the last ones are over and over; empty where these are no loop."""
    end = list(generated[-LOOP_TOKENS:])
    if len(end) < LOOP_TOKENS:
        return []
    for period in range(1, LONGEST_PERIOD + 1):
        if end[-1] == end[-1 - period] and end[period:] == end[:-period]:
            return end[-period:]
    return []


@lru_cache(maxsize=4)
def _quoting(tokenizer: Any, vocabulary: int) -> Tensor:
    """Which tokens hold a quotation mark; within a text these end it, since a grammar admits no other there."""
    import torch

    return torch.tensor([_QUOTE in tokenizer.decode([token_id]) for token_id in range(vocabulary)])
