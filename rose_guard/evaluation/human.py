"""Human labels: a sample of a run's answers for people to label without knowing the arm, and their labels read back."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rose_guard.errors import InputError, SettingsError
from rose_guard.evaluation.judges.evidence import question
from rose_guard.evaluation.judges.labelled import LABELS, label_of
from rose_guard.evaluation.judges.verdicts import example_of, is_judged
from rose_guard.evaluation.row_file import rows_of
from rose_guard.message import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rose_guard.evaluation.example import Example
    from rose_guard.evaluation.record import Record
    from rose_guard.evaluation.row import Row

COLUMNS = ("id", "prompt", "answer", *LABELS, "note")
_ID_DIGITS = 20
_OWNER_ONLY = 0o600
_ID = re.compile(rf"answer-[0-9a-f]{{{_ID_DIGITS}}}")
_FORMULA = "=+-@＝＋－＠"
"""What spreadsheets take for the beginning of a formula."""
_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}
_ODD = "\t\r\n'"
"""What they drop or act on where a cell begins with it."""


@dataclass(frozen=True, slots=True)
class HumanLabels:
    """What one person said of one answer; None where they did not say.

    Args:
        harmful: whether it does harm.
        refused: whether it declines.
        followed: whether it does what was asked.
    """

    harmful: bool | None = None
    refused: bool | None = None
    followed: bool | None = None


@dataclass(frozen=True, slots=True)
class _Answered:
    """An answer that may be labelled, and what it is drawn by."""

    id: str
    stratum: tuple[str, ...]
    example: Example = field(repr=False)
    text: str = field(repr=False)


def answer_id(example: Example, answer: str) -> str:
    """Names an answer to a question for those who label it: a digest of both, which says nothing of the arm."""
    parts = json.dumps([example.id, digest(example.messages), answer])
    return f"answer-{hashlib.sha256(parts.encode()).hexdigest()[:_ID_DIGITS]}"


def export_sample(
    records: Iterable[Record],
    examples: Mapping[tuple[str, str], Example],
    path: Path,
    *,
    size: int = 200,
    seed: int = 0,
) -> int:
    """Write a sample of a run's answers for people to label: one a row, in a shuffled order, arms hidden.

    Each task, arm, kind and label of the data has its share. An answer that several arms gave is one row. Likelihoods,
    blank answers and what the policy itself declined are left out: there is nothing to label, and a policy's own
    message would tell the arm. A column is for ``yes`` or ``no``, and stays empty where the labeller cannot say. The
    rows hold what models wrote, harmful answers included; only the file's owner may read it.

    Args:
        records: of the run.
        examples: by task and id.
        path: a file that is not there yet, ending in ``.csv`` or ``.jsonl``.
        size: how many answers; fewer where there are not so many.
        seed: of the sample and its order.

    Returns:
        How many were written.

    Raises:
        InputError: if an example is missing, there is nothing to label, or the file exists or cannot be written.
        SettingsError: if the size is below 1, or the ending another one.
    """
    write = {".csv": _csv, ".jsonl": _json_lines}.get(path.suffix.lower())
    if write is None or size < 1:
        raise SettingsError(f"size = {size}, file {path.name}: take at least 1, and a file ending in .csv or .jsonl")
    answered = [
        _answered(record, example_of(record.task, record.example, examples)) for record in records if is_judged(record)
    ]
    if not answered:
        raise InputError("the run holds no answer to label")
    drawn = sorted(_drawn(answered, size, seed), key=lambda one: _lot(f"order {one.id}", seed))
    rows = [{**dict.fromkeys(COLUMNS, ""), "id": d.id, "prompt": question(d.example), "answer": d.text} for d in drawn]
    _create(path, write(rows))
    return len(rows)


def read_labels(path: Path) -> dict[str, HumanLabels]:
    """Labels by :func:`answer_id`, from a file that was exported and filled in; rows without any are left out.

    Raises:
        InputError: if it cannot be read, or a row does not fit; the message names the file, the line and the column.
    """
    seen: dict[str, HumanLabels] = {}
    for row in rows_of(path):
        key = _id(row)
        if key in seen:
            raise row.wrong(("id",), "is that of an earlier row; keep one row for each answer")
        seen[key] = HumanLabels(**{column: label_of(row, column) for column in LABELS})
    labels = {key: said for key, said in seen.items() if said != HumanLabels()}
    if not labels:
        raise InputError(f"{path}: nothing is labelled; fill in {', '.join(LABELS)} with yes or no")
    return labels


def _answered(record: Record, example: Example) -> _Answered:
    stratum = (record.task, record.arm, record.kind, record.label)
    return _Answered(answer_id(example, record.text), stratum, example, record.text)


def _drawn(answered: Sequence[_Answered], size: int, seed: int) -> list[_Answered]:
    """So many answers, of which each stratum has its share; none twice."""
    strata: defaultdict[tuple[str, ...], dict[str, _Answered]] = defaultdict(dict)
    for one in answered:
        strata[one.stratum].setdefault(one.id, one)
    turns: list[tuple[float, str, _Answered]] = []
    for stratum, members in strata.items():
        lots = sorted((_lot(f"{stratum} {key}", seed), key) for key in members)
        turns += [((rank + 0.5) / len(lots), lot, members[key]) for rank, (lot, key) in enumerate(lots)]
    distinct = {one.id: one for *_, one in sorted(turns, key=lambda turn: turn[:2])}
    return list(distinct.values())[:size]


def _lot(of: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}\n{of}".encode()).hexdigest()


def _id(row: Row) -> str:
    key = row.text("id").strip()
    if not _ID.fullmatch(key):
        raise row.wrong(("id",), "is no id of an exported answer; leave that column as it was")
    if missing := [column for column in LABELS if column not in row.values]:
        raise row.wrong(missing[:1], "missing; keep the columns as they were")
    return key


def _csv(rows: Sequence[Mapping[str, str]]) -> str:
    """With every cell quoted, and none that a spreadsheet would run; a byte order mark tells it the encoding."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows({column: _inert(cell) for column, cell in row.items()} for row in rows)
    return "\ufeff" + text.getvalue()


def _inert(cell: str) -> str:
    """A cell as text: one that a spreadsheet might take for a formula begins with an apostrophe."""
    visible = next((char for char in cell if unicodedata.category(char)[0] not in "CZ"), "")
    return f"'{cell}" if cell and (cell[0] in _ODD or (visible and visible in _FORMULA)) else cell


def _json_lines(rows: Sequence[Mapping[str, str]]) -> str:
    """With everything escaped that some reader takes for the end of a line."""
    lines = (json.dumps({**row, **dict.fromkeys(LABELS)}, ensure_ascii=False) for row in rows)
    return "".join(f"{line.translate(_LINE_ENDS)}\n" for line in lines)


def _create(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"{path} exists, and may hold labels already; give another file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); see to the folder and the disk") from error
