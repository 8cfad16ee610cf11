"""Asks: what the middleware's steps want judged. The steps say what, in which order; the judge does it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from rose_guard.guard import GenerationOptions
    from rose_guard.guard.ruling import Ruling
    from rose_guard.message import Message

T = TypeVar("T")

Stage = Literal["input", "model", "tool_result", "output"]
"""Of an agent's step: before the model, at the model where messages had changed, behind a tool, behind the model."""


@dataclass(frozen=True, slots=True)
class Decide:
    """Judge a conversation; gives the Ruling."""

    stage: Stage
    messages: tuple[Message, ...] = field(repr=False)
    options: GenerationOptions


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """Check what a model wrote under a ruling; gives an OutputVerdict."""

    ruling: Ruling
    text: str = field(repr=False)
    language: str


Steps: TypeAlias = Generator[Decide | CheckAnswer, Any, T]
"""Asks in order, each answered with what it gives or with its error; in the end a result."""
