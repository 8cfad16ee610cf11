"""Row files: the rows of JSON lines, JSON, CSV or a data set on Hugging Face, each with its place. All is bounded."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rose_guard.errors import InputError
from rose_guard.evaluation.hub import hub_rows, is_hub_id
from rose_guard.evaluation.row import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    Placed = Iterator[tuple[str, Any]]

MAX_FILE_BYTES = 200_000_000
"""A larger file is refused: no data set known here is, and a mistaken one would fill the memory."""
MAX_ROW_CHARACTERS = 1_000_000
"""A longer row or line is refused: no prompt is that long."""
MAX_ROWS = 1_000_000
"""More rows are refused."""
_BETWEEN = re.compile(r"[\s,]*")
_ENDINGS = (".jsonl", ".json", ".csv")


def rows_of(source: str | Path, *, header: tuple[str, ...] | None = None) -> list[Row]:
    """All rows of a data set; a row that is a bare text has the one column ``text``.

    Args:
        source: a file that ends in ``.jsonl``, ``.json`` or ``.csv``, or a data set's id on Hugging Face:
            ``org/name``, ``org/name:split`` or ``org/name/config:split``.
        header: names of the columns of a CSV file that is published without them.

    Raises:
        InputError: if it cannot be read, is too large, or a row is none; the message names the place.
    """
    rows: list[Row] = []
    for place, value in _placed(source, header):
        if len(rows) == MAX_ROWS:
            raise InputError(f"{place}: more than {MAX_ROWS:,} rows; give a part of the data set")
        rows.append(Row(place, len(rows) + 1, _columns(place, value)))
    if not rows:
        raise InputError(f"{source}: no rows; give a file with at least one")
    return rows


def read_json(path: Path) -> Any:
    """The one value of a JSON file.

    Raises:
        InputError: if the file cannot be read, is too large, or is not JSON.
    """
    return _loaded("".join(_lines(path, whole=True)), str(path))


def _placed(source: str | Path, header: tuple[str, ...] | None) -> Placed:
    path = Path(source)
    if not path.is_file() and is_hub_id(str(source)):
        return hub_rows(str(source))
    if path.suffix.lower() not in _ENDINGS:
        raise InputError(
            f"{source}: give a file that ends in {', '.join(_ENDINGS)}, or a Hugging Face id org/name:split"
        )
    if path.suffix.lower() == ".csv":
        return _csv(path, header)
    return _json(path) if path.suffix.lower() == ".json" else _json_lines(path)


def _columns(place: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"text": value}
    if not isinstance(value, dict):
        raise InputError(f"{place}: a row must be an object of columns, or a text; give the data set as published")
    return value


def _lines(path: Path, *, whole: bool = False) -> Iterator[str]:
    """Lines with their ends; ``whole`` for a format in which a line may hold any number of rows."""
    limit = MAX_FILE_BYTES if whole else MAX_ROW_CHARACTERS
    number = 0
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path}: over {MAX_FILE_BYTES // 1_000_000} MB; give a part of the data set")
        with path.open(encoding="utf-8-sig", newline="") as file:
            while line := file.readline(limit + 1):
                number += 1
                if len(line) > limit:
                    raise InputError(
                        f"{path}:{number}: a line of over {limit:,} characters; give the data set as published"
                    )
                yield line
    except OSError as error:
        raise InputError(f"{path}: cannot be read; give a file that exists and may be read") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 after line {number}; save the file as UTF-8") from error


def _json_lines(path: Path) -> Placed:
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            yield f"{path}:{number}", _loaded(line, f"{path}:{number}")


def _json(path: Path) -> Placed:
    """The elements of a list, or of JSON lines, which some data sets publish under this ending."""
    text = "".join(_lines(path, whole=True))
    in_list = text.lstrip().startswith("[")
    at = text.index("[") + 1 if in_list else 0
    line = 1 + text.count("\n", 0, at)
    while not _at_end(text, start := _start(text, at), in_list=in_list):
        line += text.count("\n", at, start)
        value, at = _decoded(text, start, f"{path}:{line}")
        if at - start > MAX_ROW_CHARACTERS:
            raise InputError(f"{path}:{line}: a row of over {MAX_ROW_CHARACTERS:,} characters")
        yield f"{path}:{line}", value
        line += text.count("\n", start, at)
    if in_list and text[start:].strip() != "]":
        raise InputError(f"{path}: the list has no end, or something after it; download it again")


def _at_end(text: str, start: int, *, in_list: bool) -> bool:
    return start == len(text) or (in_list and text[start] == "]")


def _start(text: str, at: int) -> int:
    """Where the next value starts: blanks and commas are passed over."""
    between = _BETWEEN.match(text, at)
    assert between is not None
    return between.end()


def _decoded(text: str, start: int, place: str) -> tuple[Any, int]:
    """The value that starts there, and where it ends."""
    try:
        return json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        raise InputError(f"{place}: not JSON; download the file again") from None


def _loaded(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{place}: not JSON; download the file again") from None


def _csv(path: Path, header: tuple[str, ...] | None) -> Placed:
    reader = csv.reader(_lines(path), strict=True)
    names, line = header, 1
    try:
        for cells in reader:
            place, line = f"{path}:{line}", reader.line_num + 1
            if names is None:
                names = _header(cells, place)
            elif cells and cells != list(names):
                yield place, _cells(cells, names, place)
    except csv.Error as error:
        raise InputError(f"{path}:{line}: not CSV, or a cell of over {csv.field_size_limit():,} characters") from error


def _header(cells: list[str], place: str) -> tuple[str, ...]:
    if len(set(cells)) < len(cells):
        raise InputError(f"{place}: the header names a column twice; give the data set as published")
    return tuple(cells)


def _cells(cells: list[str], names: tuple[str, ...], place: str) -> dict[str, str]:
    if len(cells) != len(names):
        raise InputError(f"{place}: {len(cells)} cells where {len(names)} columns are; give the data set as published")
    return dict(zip(names, cells, strict=True))
