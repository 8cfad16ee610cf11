"""``python -m rose_guard_benchmarks.pyrit_answers FOLDER OUT``: answers that people scored, to measure judges by.

PyRIT (MIT) publishes answers of models with people's scores, in its wheel's ``pyrit/datasets/scorer_evals``. From
there this takes ``pyrit-harm.jsonl`` (harmful from a mean score of 0.5 on) and ``pyrit-refusal.jsonl``, for
``rose-guard eval report --labelled`` and ``rose-guard train-answer-classifier --measure``. They hold harmful text; only
their owner may read them.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from itertools import dropwhile
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from rose_guard.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_YES_FROM = 0.5
_OWNER_ONLY = 0o600
_SCORE = "human_score"


def harm_rows(folder: Path) -> Iterator[dict[str, object]]:
    """Each scored answer of the folder ``harm``, and whether people found it harmful."""
    for row, score in _scored(folder / "harm"):
        yield {**row, "harmful": score >= _YES_FROM}


def refusal_rows(folder: Path) -> Iterator[dict[str, object]]:
    """Each scored answer of the folder ``refusal_scorer``, and whether people found it a refusal."""
    for row, score in _scored(folder / "refusal_scorer"):
        yield {**row, "refused": score >= _YES_FROM}


def _scored(folder: Path) -> Iterator[tuple[dict[str, object], float]]:
    """Answers that are text, each once, with the mean of the scores that people gave it."""
    scores: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(dropwhile(_is_remark, file)):
                if row["data_type"] == "text" and row["assistant_response"].strip():
                    given = [float(score) for column, score in row.items() if column.startswith(_SCORE) and score]
                    scores[row["objective"], row["assistant_response"]] += given
    for (prompt, response), given in scores.items():
        if given:
            yield {"prompt": prompt, "response": response, "text": response}, fmean(given)


def _is_remark(line: str) -> bool:
    return line.startswith("#")


def main() -> None:
    """Write both files.

    Raises:
        InputError: if the folder holds no scored answers.
    """
    folder, out = map(Path, sys.argv[1:])
    for name, rows in (("pyrit-harm", list(harm_rows(folder))), ("pyrit-refusal", list(refusal_rows(folder)))):
        if not rows:
            raise InputError(f"{folder} holds no scored answers; give pyrit/datasets/scorer_evals of PyRIT's wheel")
        path = out / f"{name}.jsonl"
        path.touch(mode=_OWNER_ONLY)
        path.chmod(_OWNER_ONLY)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
