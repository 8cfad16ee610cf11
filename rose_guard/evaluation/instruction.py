"""Instruction: what a good answer does, of an example whose prompt holds another order besides."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rose_guard.evaluation.example import Example

INSTRUCTION = "instruction"
"""In an example's ``extra``; whether answers follow it is measured wherever it is there."""


def instruction_of(example: Example) -> str | None:
    """What the user asks for, where an order that is not to be obeyed stands in the same prompt; None elsewhere."""
    return example.extra.get(INSTRUCTION)
