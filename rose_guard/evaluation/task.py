"""Task: a public data set, where it is from, what it must look like, and its rows as examples."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rose_guard.errors import InputError
from rose_guard.evaluation.row_file import rows_of
from rose_guard.evaluation.sample import stratified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from rose_guard.evaluation.example import Example, Kind
    from rose_guard.evaluation.row import Row

Part = Literal["choose", "report"]
"""``choose`` is for choosing strengths and thresholds, ``report`` for what is reported; no example is of both."""

_CHOOSE_ONE_IN = 4
"""One example in so many is for choosing. Fixed: changing it would let reported figures see what chose them."""


def part_of(example_id: str) -> Part:
    """The part that an example belongs to, by its id alone; a prompt and its attacked forms share one."""
    digest = hashlib.sha256(example_id.encode()).digest()
    return "choose" if int.from_bytes(digest[:8]) % _CHOOSE_ONE_IN == 0 else "report"


@dataclass(frozen=True, slots=True)
class Task:
    """A data set that models are measured on.

    Args:
        name: by which the command line and the records know it.
        title: for reports.
        source: URL from which it is published.
        licence: of the data, as its publisher states it.
        kind: what a good answer is; the commoner one where examples differ.
        columns: that a file must have, as published.
        examples: makes examples of all rows.
        rows: reads a file.
    """

    name: str
    title: str
    source: str
    licence: str
    kind: Kind
    columns: tuple[str, ...]
    examples: Callable[[Sequence[Row]], Iterable[Example]] = field(repr=False)
    rows: Callable[[str | Path], Sequence[Row]] = field(default=rows_of, repr=False)

    def load(
        self, path: str | Path, limit: int | None = None, seed: int = 0, *, part: Part | None = None
    ) -> list[Example]:
        """The examples of a file in their order, or a sample of them in which each label has its share.

        Args:
            path: a file that ends in ``.jsonl``, ``.json`` or ``.csv``, or a data set's id on Hugging Face.
            limit: how many; all of them by default.
            seed: of the sample.
            part: only those of a part; both by default.

        Raises:
            InputError: if it cannot be read or does not fit; the message names the file, the line and the column.
        """
        rows = self.rows(path)
        try:
            examples = list(self.examples(rows))
        except InputError as error:
            columns = ", ".join(self.columns)
            raise InputError(f"{error}; {self.title} has the columns {columns}: get it from {self.source}") from error
        _check_ids(examples, path)
        return stratified([e for e in examples if part in (None, part_of(e.id))], limit, seed)


def each(read: Callable[[Row], Example]) -> Callable[[Sequence[Row]], list[Example]]:
    """For a data set in which every row is an example."""
    return lambda rows: [read(row) for row in rows]


def _check_ids(examples: Sequence[Example], path: str | Path) -> None:
    seen: set[str] = set()
    for number, example in enumerate(examples, start=1):
        if example.id in seen:
            raise InputError(f"{path}: example {number} has the id of an earlier one; give each an id of its own")
        seen.add(example.id)
