"""AILuminate: MLCommons' demo and practice prompts, by hazard. CSV; ``persona`` is in some releases only."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.hazard import hazard_of
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from rose_guard.evaluation.row import Row


def _example(row: Row) -> Example:
    label = row.text("hazard")
    return Example(
        id=row.key("ailuminate", "release_prompt_id", "id"),
        messages=asked(row.text("prompt_text", "text")),
        kind="harmful",
        hazard=hazard_of("ailuminate", label),
        label=label,
        extra=MappingProxyType({"persona": row.optional("persona")}),
    )


AILUMINATE = Task(
    name="ailuminate",
    title="AILuminate 1.0",
    source="https://github.com/mlcommons/ailuminate",
    licence="CC-BY-4.0",
    kind="harmful",
    columns=("release_prompt_id", "prompt_text", "hazard"),
    examples=each(_example),
)
