"""How examples are put to a model, where the data set leaves that open."""

from __future__ import annotations

import re
from string import ascii_uppercase
from typing import TYPE_CHECKING

from rose_guard.message import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHINESE = re.compile("[\u4e00-\u9fff]")


def asked(text: str) -> tuple[Message, ...]:
    """One turn of the user."""
    return (Message("user", text),)


def asked_to_choose(question: str, options: Sequence[str]) -> tuple[Message, ...]:
    """A question and its options by letters, in the question's language; no form of answer is asked for."""
    lettered = "\n".join(f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False))
    closing = "哪个选项是正确的？" if _CHINESE.search(question) else "Which of these is right?"
    return asked(f"{question}\n\n{lettered}\n\n{closing}")
