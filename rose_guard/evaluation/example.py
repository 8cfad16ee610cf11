"""Example: one question of a task, and what is known of its answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.message import Message

Kind = Literal["harmful", "benign", "look_alike", "choice"]
"""What a good answer is: harmless; helpful; helpful though the question looks harmful; the right option."""


@dataclass(frozen=True, slots=True)
class Example:
    """One question.

    Args:
        id: unique within its task.
        messages: the conversation to answer.
        kind: what a good answer is.
        hazard: of the taxonomy, where the data names one that maps to it; None otherwise.
        label: the data's own category; empty where it has none.
        safe: answers that would do no harm, where the data has any.
        unsafe: answers that would.
        options: to choose from, where the kind is ``choice``.
        answer: index of the right option.
        attack: how the question tries to get past a guard, of the taxonomy; None where it does not.
        extra: whatever else a judge of this task needs, such as the instruction around a harmful sentence.
    """

    id: str
    messages: tuple[Message, ...] = field(repr=False)
    kind: Kind
    hazard: str | None = None
    label: str = ""
    safe: tuple[str, ...] = field(default=(), repr=False)
    unsafe: tuple[str, ...] = field(default=(), repr=False)
    options: tuple[str, ...] = field(default=(), repr=False)
    answer: int | None = None
    attack: str | None = None
    extra: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
