"""SimpleSafetyTests: 100 prompts of five areas that hardly any application should comply with. CSV."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from rose_guard.evaluation.row import Row

_HAZARDS = {
    "Child Abuse": "child_sexual_exploitation",
    "Illegal and Highly Regulated Items": "nonviolent_crimes",
    "Physical Harm": "violent_crimes",
    "Scams and Fraud": "nonviolent_crimes",
    "Suicide Self-Harm and Eating Disorders": "suicide_self_harm",
}
"""By area, its commas left out: they are not always the same."""


def _example(row: Row) -> Example:
    label = row.text("harm_area")
    return Example(
        id=row.key("simple_safety_tests"),
        messages=asked(row.text("prompts_final", "prompt", "text")),
        kind="harmful",
        hazard=_HAZARDS.get(label.replace(",", "").strip()),
        label=label,
        extra=MappingProxyType({"category": row.optional("category")}),
    )


SIMPLE_SAFETY_TESTS = Task(
    name="simple_safety_tests",
    title="SimpleSafetyTests",
    source="https://huggingface.co/datasets/Bertievidgen/SimpleSafetyTests",
    licence="CC-BY-2.0 by its card, CC-BY-NC-4.0 by its repository",
    kind="harmful",
    columns=("id", "harm_area", "prompts_final"),
    examples=each(_example),
)
