"""Which answers guess ahead in a step, and how far."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.decoding.lookup import expected_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.decoding.generation import Generation
    from rose_guard.decoding.step_cost import StepCost


def draft(generations: Sequence[Generation], longest: int, cost: StepCost, *, beside: int) -> None:
    """Set the drafts with which a step is expected to give most tokens for its time.

    Args:
        generations: those that decode in this step.
        longest: the longest draft, in tokens; 0 drafts nothing.
        cost: of a step, by its tokens.
        beside: prompt tokens that are read in the same step.
    """
    tokens = beside + sum(len(generation.branches) for generation in generations)
    gain = float(len(generations))
    for generation in generations:
        limit = min(longest, generation.limit - len(generation.generated) - 1)
        guess = generation.lookup.draft(limit) if limit > 0 else []
        best, length = gain / cost(tokens), 0
        for count in range(1, len(guess) + 1):
            more = gain - 1.0 + expected_tokens(generation.lookup.acceptance, count)
            rate = more / cost(tokens + count * len(generation.branches))
            if rate > best:
                best, length = rate, count
        generation.draft = guess[:length]
        if length:
            gain += expected_tokens(generation.lookup.acceptance, length) - 1.0
            tokens += length * len(generation.branches)
