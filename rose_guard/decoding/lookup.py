"""PromptLookup: drafts of the next tokens, copied from where the latest ones stood before.

Answers quote: a retrieved passage, the question, themselves. A draft is only a guess; the batch reads it together
with the token before it and keeps what it would have chosen anyway (speculative decoding with prompt lookup, known
from transformers' ``prompt_lookup_num_tokens``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST, _SHORTEST = 4, 2
_FIRST_GUESS = {4: 0.7, 3: 0.5, 2: 0.3}
_MEMORY = 0.8


class PromptLookup:
    """Remembers where each n-gram of a text last stood, and how well drafts from n-grams of that length did.

    Args:
        ids: the prompt's tokens.
    """

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        self._acceptance = dict(_FIRST_GUESS)
        self._matched = 0
        for token_id in ids:
            self.append(token_id)

    def append(self, token_id: int) -> None:
        """Add a token to the text."""
        # The n-grams that end before this token are followed by it; the last n-gram has nothing after it yet.
        end = len(self._ids)
        for n in range(_SHORTEST, _LONGEST + 1):
            if end >= n:
                self._after[tuple(self._ids[end - n :])] = end
        self._ids.append(token_id)

    def draft(self, limit: int) -> list[int]:
        """At most so many tokens that followed the longest end of the text which stood before.

        Where they reach the end of the text, the text goes round in circles, and so does the draft.
        """
        end = len(self._ids)
        for n in range(_LONGEST, _SHORTEST - 1, -1):
            if end >= n and (start := self._after.get(tuple(self._ids[end - n :]))) is not None:
                self._matched = n
                circle = self._ids[start:]
                return [circle[i % len(circle)] for i in range(limit)]
        return []

    @property
    def acceptance(self) -> float:
        """How likely each token of the latest draft is to be accepted, judged by earlier drafts of its kind."""
        return self._acceptance[self._matched]

    def learn(self, drafted: int, accepted: int) -> None:
        """Take note of what became of the latest draft; only the tokens up to the first wrong one were tried."""
        tried = min(drafted, accepted + 1)
        share = _MEMORY**tried
        self._acceptance[self._matched] = share * self._acceptance[self._matched] + (1 - share) * accepted / tried


def expected_tokens(acceptance: float, drafted: int) -> float:
    """Tokens that a step with a draft of this length gives on average, ``(1 − pᵏ⁺¹) / (1 − p)``."""
    return float(sum(acceptance**i for i in range(drafted + 1)))
