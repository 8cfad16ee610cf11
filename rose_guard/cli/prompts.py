"""Prompts for a command, from its argument or a file of JSON lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from rose_guard.errors import InputError
from rose_guard.message import Message

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation to answer or score, and the id under which its result is printed."""

    id: str | None
    messages: tuple[Message, ...]

    @property
    def text(self) -> str:
        """The last user turn."""
        return next((m.content for m in reversed(self.messages) if m.role == "user"), "")


def read_prompts(text: str | None, file: Path | None) -> list[Prompt]:
    """The one prompt given, or those of a file with one ``{"id", "text"}`` or ``{"id", "messages"}`` a line.

    Raises:
        typer.BadParameter: unless exactly one of them is given.
        InputError: naming the row that has no such shape.
    """
    if (text is None) == (file is None):
        raise typer.BadParameter("give either a prompt or --file")
    if text is not None:
        return [Prompt(None, (Message("user", text),))]
    assert file is not None
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read; give a file of JSON lines in UTF-8") from error
    return [_prompt(line, f"{file}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _prompt(line: str, place: str) -> Prompt:
    try:
        row: dict[str, Any] = json.loads(line)
        turns = row["messages"] if "messages" in row else [{"role": "user", "content": row["text"]}]
        messages = tuple(Message(turn["role"], turn["content"], turn.get("name")) for turn in turns)
        return Prompt(str(row["id"]), messages)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f'{place}: not of the form {{"id", "text"}} or {{"id", "messages"}}') from error
