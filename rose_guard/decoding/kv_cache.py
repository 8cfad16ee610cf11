"""KVCache: keys and values of every row, written in place.

A row's token at position p lies at index p of its slot, so rows of any lengths live side by side, nothing is moved
when a token is added, and taking tokens back is a change of one number. Rows of similar capacity share a pool: one
tensor per layer, of which attention reads the leading part as it is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformers import Cache

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from rose_guard.decoding.plan import Plan

_SMALLEST_POOL = 256
_CLEANED_AT_ONCE = 16


@dataclass(eq=False, slots=True)
class Row:
    """One sequence's place in the cache.

    Args:
        pool: where its slot is.
        slot: its index there.
        length: tokens whose keys and values it holds.
        written: places ever written to; those past ``length`` hold what was taken back.
    """

    pool: Pool
    slot: int
    length: int = 0
    written: int = 0

    def advance(self, tokens: int) -> None:
        """Count tokens that were stored."""
        self.will_write(tokens)
        self.length += tokens

    def will_write(self, tokens: int) -> None:
        """Remember that so many further places may hold something from now on, whatever becomes of the step."""
        self.written = max(self.written, self.length + tokens)


@dataclass(frozen=True, slots=True)
class SavedRow:
    """Copied keys and values of a row's first tokens, per layer of shape ``(tokens, heads, head size)``."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return sum(tensor.nbytes for tensor in (*self.keys, *self.values))


class Pool:
    """Slots of one capacity; those in use are always the first ones.

    Places without a token are zero as far as attention looks: masked keys still meet a weight of 0, and 0 times a
    left-over NaN is NaN.

    Args:
        capacity: tokens that a slot holds.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.rows: list[Row] = []
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self._slots = 0
        self._clean = 0  # places of every slot that hold a token or zero

    def reserve(self, rows: int) -> None:
        """Make room for so many more rows at once."""
        if len(self.rows) + rows > self._slots:
            self._grow(len(self.rows) + rows)

    def open(self) -> Row:
        """A new, empty row."""
        if len(self.rows) == self._slots:
            self._grow(self._slots + max(2, self._slots // 8))
        self.rows.append(Row(self, len(self.rows)))
        return self.rows[-1]

    def close(self, row: Row) -> None:
        """Free a row's slot and wipe it; the last row moves into it."""
        last = self.rows.pop()
        for tensor in (*self.keys, *self.values):
            tensor[row.slot, : row.written] = 0
            if last is not row:
                tensor[row.slot, : last.length] = tensor[last.slot, : last.length]
                tensor[last.slot, : last.written] = 0
        if last is not row:
            last.slot, last.written = row.slot, last.length
            self.rows[last.slot] = last

    def layer(self, index: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer, ``(slots, capacity, heads, head size)``; made like those given when missing."""
        while len(self.keys) <= index:
            for tensors, like in ((self.keys, key), (self.values, value)):
                tensors.append(like.new_empty(self._slots, self.capacity, like.shape[1], like.shape[3]))
                tensors[-1][:, : self._clean] = 0
        return self.keys[index], self.values[index]

    def clean_to(self, length: int) -> None:
        """Make sure that attention may look at so many places of every slot."""
        if length > self._clean:
            length = min(self.capacity, -(-length // _CLEANED_AT_ONCE) * _CLEANED_AT_ONCE)
            for tensor in (*self.keys, *self.values):
                tensor[:, self._clean : length] = 0
            self._clean = length

    def _grow(self, slots: int) -> None:
        for tensors in (self.keys, self.values):
            for index, old in enumerate(tensors):
                tensors[index] = old.new_empty(slots, *old.shape[1:])
                tensors[index][: len(old), : self._clean] = old[:, : self._clean]
                tensors[index][len(old) :, : self._clean] = 0
        self._slots = slots


class KVCache(Cache):
    """The rows' keys and values, in the form that transformers' models write to.

    Models call :meth:`update`, which stores what the current :class:`Plan` says; they get back what they gave, and
    the attention function reads the pools instead.
    """

    def __init__(self) -> None:
        super().__init__(layers=[])
        self._pools: dict[int, Pool] = {}
        self.plan: Plan | None = None

    def reserve(self, rows: Iterable[int]) -> None:
        """Make room for rows that are about to be opened, given how many tokens each must hold."""
        for capacity, count in Counter(map(pool_capacity, rows)).items():
            self._pool(capacity).reserve(count)

    def open(self, tokens: int) -> Row:
        """A row that can hold so many tokens."""
        return self._pool(pool_capacity(tokens)).open()

    def close(self, row: Row) -> None:
        """Free a row; an empty pool gives its memory back."""
        row.pool.close(row)
        if not row.pool.rows:
            del self._pools[row.pool.capacity]

    def _pool(self, capacity: int) -> Pool:
        return self._pools.setdefault(capacity, Pool(capacity))

    def save(self, row: Row, tokens: int) -> SavedRow:
        """A copy of a row's first tokens."""
        keys, values = (
            tuple(tensor[row.slot, :tokens].clone() for tensor in tensors)
            for tensors in (row.pool.keys, row.pool.values)
        )
        return SavedRow(keys, values)

    def load(self, row: Row, saved: SavedRow, tokens: int) -> None:
        """Let an empty row begin with the first tokens of a saved one."""
        row.pool.clean_to(tokens)
        for index, (key, value) in enumerate(zip(saved.keys, saved.values, strict=True)):
            keys, values = row.pool.layer(index, key[None].transpose(1, 2), value[None].transpose(1, 2))
            keys[row.slot, :tokens] = key[:tokens]
            values[row.slot, :tokens] = value[:tokens]
        row.advance(tokens)

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Store one layer's new keys and values, ``(1, heads, tokens, head size)``, where the plan says."""
        assert self.plan is not None
        for write in self.plan.writes:
            for stored, new in zip(
                write.pool.layer(layer_idx, key_states, value_states), (key_states, value_states), strict=True
            ):
                flat = stored.view(-1, *stored.shape[2:])
                flat.index_copy_(0, write.to(stored.device), new[0].transpose(0, 1)[write.tokens])
        return key_states, value_states

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002 - transformers' signature
        """Rows have lengths, the cache has none; positions are always given."""
        return 0


def pool_capacity(tokens: int) -> int:
    """The smallest of 256, 384, 512, 768, 1024 … that holds so many tokens."""
    capacity = _SMALLEST_POOL
    while capacity < tokens:
        capacity = capacity * 3 // 2 if capacity & (capacity - 1) == 0 else capacity * 4 // 3
    return capacity
