"""Sample: so many examples, each label with its share, the same ones every time."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

from rose_guard.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.evaluation.example import Example


def stratified(examples: Sequence[Example], limit: int | None, seed: int = 0) -> list[Example]:
    """At most ``limit`` of the examples, in their order, each kind and label with its share of them.

    Which ones depends on their ids and the seed, never on their order. A smaller sample is part of every larger one.
    Seats are dealt by Webster's method.

    Raises:
        InputError: if the limit is below 1.
    """
    if limit is None:
        return list(examples)
    if limit < 1:
        raise InputError("the limit must be at least 1; leave it out to take every example")
    return _first(examples, _turns(examples, seed), limit)


def _turns(examples: Sequence[Example], seed: int) -> dict[str, tuple[float, str]]:
    """When each example's turn comes, by id."""
    strata: defaultdict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for example in examples:
        strata[example.kind, example.label].append((_lot(example.id, seed), example.id))
    return {
        example_id: ((rank + 0.5) / len(stratum), lot)
        for stratum in strata.values()
        for rank, (lot, example_id) in enumerate(sorted(stratum))
    }


def _first(examples: Sequence[Example], turns: dict[str, tuple[float, str]], limit: int) -> list[Example]:
    taken = set(sorted(turns, key=turns.__getitem__)[:limit])
    return [example for example in examples if example.id in taken]


def _lot(example_id: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}\n{example_id}".encode()).hexdigest()
