"""GrammarMask: which tokens a grammar admits next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from rose_guard.decoding.prefix_cache import common_length
from rose_guard.engines.grammar.library import matcher_of
from rose_guard.errors import DecodingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from rose_guard.engines.grammar.vocabulary import Vocabulary


class GrammarMask:
    """Follows one answer; may be asked about any beginning of an answer, in any order, one after the other cheaply.

    Args:
        grammar: in llguidance's variant of Lark.
        vocabulary: in whose tokens the answer is written.

    Raises:
        SettingsError: if the grammar cannot be followed in these tokens.
    """

    def __init__(self, grammar: str, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._grammar = grammar
        self._matcher = matcher_of(grammar, vocabulary.tokens)
        self._followed: tuple[int, ...] = ()

    def __call__(self, generated: Sequence[int]) -> Tensor:
        """As :class:`~rose_guard.decoding.generation.TokenMask` says.

        Raises:
            DecodingError: if the answer so far does not follow the grammar or has ended, or following it takes more
                than the limits allow.
        """
        self._follow(tuple(generated))
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        allowed = np.unpackbits(bits, count=self._vocabulary.size, bitorder="little").view(np.bool_)
        if self._matcher.is_error() or not allowed.any():
            raise self._fault()
        return torch.from_numpy(allowed)

    def _follow(self, generated: tuple[int, ...]) -> None:
        """Go back to where the answer parts from what was followed, then on along it."""
        if self._matcher.is_error() or generated[: len(self._followed)] != self._followed:
            self._go_back(common_length(self._followed, generated))
        more = list(generated[len(self._followed) :])
        if not self._vocabulary.ends.isdisjoint(more):
            raise DecodingError(
                "the answer has ended with the tokenizer's end-of-sequence token, but the model does not stop there; "
                "add that token to eos_token_id in its generation_config"
            )
        taken = self._matcher.try_consume_tokens(more)
        self._followed += tuple(more[:taken])
        if self._matcher.is_error():
            raise self._fault()
        if taken < len(more):
            raise DecodingError("the answer so far does not follow the grammar; begin it with what the grammar admits")

    def _go_back(self, kept: int) -> None:
        if not self._matcher.is_error() and self._matcher.rollback(len(self._followed) - kept):
            self._followed = self._followed[:kept]
        else:
            self._matcher, self._followed = matcher_of(self._grammar, self._vocabulary.tokens), ()

    def _fault(self) -> DecodingError:
        """Without what llguidance says, which may quote the answer."""
        return DecodingError(
            f"the grammar cannot say what may come next ({self._matcher.stop_reason()}); simplify the schema: fewer "
            f"patterns, shorter bounds, no reference that can only go on for ever"
        )
