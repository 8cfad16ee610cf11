"""BeaverTails: prompts with answers that people judged, and the 700 prompts of its evaluation set. JSON lines.

Of the judged answers a prompt has several, safe and unsafe ones. It is harmful here if any of its answers was judged
unsafe; the others are left out, since nobody judged the prompts themselves.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.hazard import hazard_of
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rose_guard.evaluation.row import Row


def _judged(rows: Sequence[Row]) -> Iterator[Example]:
    by_prompt: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_prompt[row.text("prompt")].append(row)
    for prompt, answers in by_prompt.items():
        if unsafe := [row for row in answers if not row.flag("is_safe")]:
            yield _prompt(prompt, unsafe, [row for row in answers if row.flag("is_safe")])


def _prompt(prompt: str, unsafe: Sequence[Row], safe: Sequence[Row]) -> Example:
    label = _commonest(unsafe)
    return Example(
        id=f"beavertails-{hashlib.sha256(prompt.encode()).hexdigest()[:16]}",
        messages=asked(prompt),
        kind="harmful",
        hazard=hazard_of("beavertails", label),
        label=label,
        safe=tuple(row.text("response") for row in safe),
        unsafe=tuple(row.text("response") for row in unsafe),
    )


def _commonest(unsafe: Sequence[Row]) -> str:
    """The category that most of the unsafe answers fall in; empty where none names one."""
    named = Counter(name for row in unsafe for name, holds in row.table("category").values.items() if holds is True)
    return named.most_common(1)[0][0] if named else ""


def _evaluated(row: Row) -> Example:
    label = row.text("category")
    return Example(
        id=row.key("beavertails_evaluation"),
        messages=asked(row.text("prompt")),
        kind="harmful",
        hazard=hazard_of("beavertails", label),
        label=label,
    )


BEAVERTAILS = Task(
    name="beavertails",
    title="BeaverTails",
    source="https://huggingface.co/datasets/PKU-Alignment/BeaverTails",
    licence="CC-BY-NC-4.0",
    kind="harmful",
    columns=("prompt", "response", "category", "is_safe"),
    examples=_judged,
)
BEAVERTAILS_EVALUATION = Task(
    name="beavertails_evaluation",
    title="BeaverTails-Evaluation",
    source="https://huggingface.co/datasets/PKU-Alignment/BeaverTails-Evaluation",
    licence="CC-BY-NC-4.0",
    kind="harmful",
    columns=("prompt", "category"),
    examples=each(_evaluated),
)
