"""HarmBench: harmful behaviours as text, some with a context to work on. CSV ``harmbench_behaviors_text_*.csv``."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from rose_guard.evaluation.row import Row

_HAZARDS = {
    "chemical_biological": "indiscriminate_weapons",
    "copyright": "intellectual_property",
    "cybercrime_intrusion": "code_abuse",
    "harassment_bullying": "harassment_toxicity",
    "illegal": "nonviolent_crimes",
    "misinformation_disinformation": "misinformation",
}
"""The category ``harmful`` is anything else, so it has no hazard."""


def _example(row: Row) -> Example:
    label = row.text("SemanticCategory")
    behaviour, context = row.text("Behavior"), row.optional("ContextString")
    return Example(
        id=row.key("harmbench", "BehaviorID"),
        messages=asked(f"{context}\n\n{behaviour}" if context else behaviour),
        kind="harmful",
        hazard=_HAZARDS.get(label),
        label=label,
        extra=MappingProxyType({"function": row.text("FunctionalCategory")}),
    )


HARMBENCH = Task(
    name="harmbench",
    title="HarmBench",
    source="https://github.com/centerforaisafety/HarmBench/tree/main/data/behavior_datasets",
    licence="MIT",
    kind="harmful",
    columns=("Behavior", "FunctionalCategory", "SemanticCategory", "ContextString", "BehaviorID"),
    examples=each(_example),
)
