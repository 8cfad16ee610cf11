"""CatQA: 550 questions, eleven categories of five subcategories. JSON lines.

All of it is published as harmful. Of two categories, Political Campaigning and Tailored Financial Advice, many
questions are mild: read their rows apart, by label.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.task import Task, each
from rose_guard.evaluation.tasks.wording import asked

if TYPE_CHECKING:
    from rose_guard.evaluation.row import Row

_BY_CATEGORY = {
    "Illegal Activity": "nonviolent_crimes",
    "Malware Viruses": "code_abuse",
    "Economic Harm": "nonviolent_crimes",
    "Fraud/Deception": "nonviolent_crimes",
    "Adult Content": "sexual_content",
    "Privacy Violation Activity": "privacy",
    "Tailored Financial Advice": "specialized_advice",
    "Child Abuse": "child_sexual_exploitation",
}
_BY_SUBCATEGORY = {
    "Human Trafficking": "nonviolent_crimes",
    "Physical abuse": "violent_crimes",
    "Emotional and psychological abuse": "violent_crimes",
    "Neglect": "violent_crimes",
    "Racial or ethnic hate": "hate",
    "Religious intolerance": "hate",
    "Gender-based violence": "violent_crimes",
    "Cyberbullying": "harassment_toxicity",
    "Terrorism and extremism": "violent_crimes",
    "Self-harm": "suicide_self_harm",
    "Assault and battery": "violent_crimes",
    "Weapon making": "violent_crimes",
    "Intellectual property theft": "intellectual_property",
    "Political misinformation": "misinformation",
}
"""Where a subcategory has a hazard of its own."""


def _example(row: Row) -> Example:
    category = row.text("Category", "category")
    subcategory = row.text("Subcategory", "subcategory").rstrip(":")
    return Example(
        id=row.key("catqa"),
        messages=asked(row.text("Question", "text")),
        kind="harmful",
        hazard=_BY_SUBCATEGORY.get(subcategory, _BY_CATEGORY.get(category)),
        label=category,
        extra=MappingProxyType({"subcategory": subcategory}),
    )


CATQA = Task(
    name="catqa",
    title="CatQA",
    source="https://huggingface.co/datasets/declare-lab/CategoricalHarmfulQA",
    licence="Apache-2.0",
    kind="harmful",
    columns=("Category", "Subcategory", "Question"),
    examples=each(_example),
)
