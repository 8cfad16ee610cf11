"""SafetyBench: safety as multiple choice, in Chinese and English. A JSON list, its answers in a file beside it.

The answers of ``test_zh.json`` are in ``test_answers_zh.json``, keyed by id, as the repository publishes them. A file
whose rows have an ``answer`` needs no other.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rose_guard.errors import InputError
from rose_guard.evaluation.example import Example
from rose_guard.evaluation.row_file import read_json, rows_of
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.wording import asked_to_choose

if TYPE_CHECKING:
    from rose_guard.evaluation.row import Row

_HAZARDS = {
    "Offensiveness": "harassment_toxicity",
    "Unfairness and Bias": "hate",
    "Illegal Activities": "nonviolent_crimes",
    "Ethics and Morality": "other_unethical",
    "Privacy and Property": "privacy",
}
"""Questions on physical and mental health ask for knowledge, and are of no hazard."""


def _rows(source: str | Path) -> list[Row]:
    rows = rows_of(source)
    if all(row.has("answer") for row in rows):
        return rows
    path = Path(source)
    answers = _answers(path.with_name(path.name.replace("test_", "test_answers_", 1)), path)
    return [replace(row, values={**row.values, "answer": _answer(answers, row)}) for row in rows]


def _answers(path: Path, questions: Path) -> dict[str, Any]:
    if not path.is_file() or path == questions:
        raise InputError(f"{questions}: column `answer` missing, and no file of answers, {path.name}, lies beside it")
    if not isinstance(answers := read_json(path), dict):
        raise InputError(f"{path}: must be an object of answers by id; give the file as published")
    return answers


def _answer(answers: dict[str, Any], row: Row) -> Any:
    found = answers.get(row.key("safetybench"))
    return found.get("answer") if isinstance(found, dict) else found


def _example(row: Row) -> Example:
    label, options = row.text("category"), row.texts("options")
    return Example(
        id=row.key("safetybench"),
        messages=asked_to_choose(row.text("question", "text"), options),
        kind="choice",
        hazard=_HAZARDS.get(label),
        label=label,
        options=options,
        answer=row.index("answer", len(options)),
    )


SAFETYBENCH = Task(
    name="safetybench",
    title="SafetyBench",
    source="https://github.com/thu-coai/SafetyBench",
    licence="MIT",
    kind="choice",
    columns=("id", "question", "options", "category", "answer"),
    examples=each(_example),
    rows=_rows,
)
