"""Data sets on Hugging Face, through the package ``datasets`` where it is installed. No code of a data set is run."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rose_guard.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ID = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:/(?P<config>[\w.-]+))?(?::(?P<split>\w[\w.-]*))?")
_FILES = (".jsonl", ".json", ".csv", ".parquet", ".gz", ".xz", ".zip")


def is_hub_id(source: str) -> bool:
    """Whether it reads as ``org/name``, ``org/name:split`` or ``org/name/config:split``, and not as a file."""
    return _ID.fullmatch(source) is not None and not source.lower().endswith(_FILES) and not source.startswith(".")


def hub_rows(source: str) -> Iterator[tuple[str, Any]]:
    """Each row of a split, with its place; without a split, of the only one.

    Raises:
        InputError: if ``datasets`` is not installed, the data set cannot be had, or it has several splits.
    """
    split = _split(source)
    for number, row in enumerate(split, start=1):
        yield f"{source}:{number}", row


def _split(source: str) -> Any:
    parts = _ID.fullmatch(source)
    assert parts is not None
    try:
        load = import_module("datasets").load_dataset
    except ImportError as error:
        raise InputError(
            f"{source}: no such file, and a data set on Hugging Face needs the package `datasets`; "
            f"`pip install datasets`, or download the file and give its path"
        ) from error
    try:
        data = load(parts["name"], parts["config"], split=parts["split"])
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{source}: Hugging Face has no such data set, configuration or split to give") from error
    if parts["split"] is not None or not isinstance(data, dict):
        return data
    if len(data) != 1:
        raise InputError(f"{source}: has several splits; name one, as in {source}:{next(iter(data), 'test')}")
    return next(iter(data.values()))
