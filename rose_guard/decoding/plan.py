"""Plan: which row reads what in one step, where its keys go, and who attends together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from rose_guard.decoding.kv_cache import Pool, Row

_FEW_QUERIES = 16
_QUERIES_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Write:
    """Which tokens of a step go to which places of a pool; places count through its slots."""

    pool: Pool
    tokens: slice
    places: Tensor

    def to(self, device: torch.device) -> Tensor:
        """The places on a device."""
        return self.places.to(device, non_blocking=True)


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens of one row that are read in this step.

    Args:
        row: whose.
        start: position of the first one in its row.
        count: how many; 0 for a row that sits the step out.
    """

    row: Row
    start: int
    count: int


class Block:
    """Neighbouring rows of one pool that attend together, each with as many queries as the one with most.

    Args:
        spans: what they read, by slot without gaps.
        first_token: index of their first token in the step.
    """

    def __init__(self, spans: Sequence[Span], first_token: int) -> None:
        self.pool = spans[0].row.pool
        self.slots = slice(spans[0].row.slot, spans[-1].row.slot + 1)
        self.rows = len(spans)
        self.queries = max(span.count for span in spans)
        self.keys = max(span.start + span.count for span in spans)
        self.tokens = slice(first_token, first_token + sum(span.count for span in spans))
        self.even = all(span.count == self.queries for span in spans)
        self._spans = spans
        self._masks: dict[object, Tensor | None] = {}

    @cached_property
    def padded(self) -> Tensor:
        """For each token its index among ``rows · queries`` padded ones."""
        return torch.tensor(
            [i * self.queries + j for i, span in enumerate(self._spans) for j in range(span.count)], dtype=torch.long
        )

    def mask(self, window: int | None, groups: int, like: Tensor) -> Tensor | None:
        """What to add to attention scores, ``(rows, 1, groups · queries or 1, keys)``; None where all may be seen."""
        key = (window, groups, like.device, like.dtype)
        if key not in self._masks:
            self._masks[key] = self._build_mask(window, groups, like)
        return self._masks[key]

    def _build_mask(self, window: int | None, groups: int, like: Tensor) -> Tensor | None:
        starts = torch.tensor([span.start for span in self._spans])
        position = starts[:, None] + torch.arange(self.queries)
        key = torch.arange(self.keys)
        seen = key <= position[..., None]
        if window is not None:
            seen &= key > position[..., None] - window
        if seen.all():
            return None
        mask = torch.zeros(seen.shape, dtype=like.dtype).masked_fill_(~seen, -torch.inf).to(like.device)
        if self.queries == 1:
            return mask[:, None]
        return mask[:, None].expand(-1, groups, -1, -1).reshape(self.rows, 1, groups * self.queries, self.keys)


class Plan:
    """What every row reads in one step, and how its tokens lie in the packed input.

    Args:
        reads: rows and how many tokens each reads.
    """

    def __init__(self, reads: Sequence[tuple[Row, int]]) -> None:
        self.order = sorted(
            range(len(reads)),
            key=lambda i: (reads[i][0].pool.capacity, reads[i][1] > _FEW_QUERIES, reads[i][0].slot),
        )
        """Indices of the reads in the order in which their tokens are packed."""
        self.writes: list[Write] = []
        self.blocks: list[Block] = []
        ordered = [reads[i] for i in self.order]
        self.tokens = sum(count for _, count in ordered)
        token = 0
        for pool in dict.fromkeys(row.pool for row, _ in ordered):
            token = self._add_pool(pool, [read for read in ordered if read[0].pool is pool], token)

    def _add_pool(self, pool: Pool, reads: Sequence[tuple[Row, int]], token: int) -> int:
        pool.clean_to(max(row.length + n for row, n in reads))
        for row, n in reads:
            row.will_write(n)
        end = token + sum(count for _, count in reads)
        places = torch.cat([torch.arange(row.length, row.length + n) + row.slot * pool.capacity for row, n in reads])
        self.writes.append(Write(pool, slice(token, end), places))
        few = {row.slot: Span(row, row.length, n) for row, n in reads if n <= _FEW_QUERIES}
        if few:
            slots = range(min(few), max(few) + 1)
            self._add_block([few.get(slot) or Span(row := pool.rows[slot], row.length, 0) for slot in slots])
        for row, n in reads:
            if n > _FEW_QUERIES:  # in pieces, so that early tokens need not look at the keys of late ones
                for start in range(0, n, _QUERIES_AT_ONCE):
                    self._add_block([Span(row, row.length + start, min(_QUERIES_AT_ONCE, n - start))])
        return end

    def _add_block(self, spans: Sequence[Span]) -> None:
        self.blocks.append(Block(spans, self.blocks[-1].tokens.stop if self.blocks else 0))
