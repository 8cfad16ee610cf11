"""Kept answers, as steps: found and kept again. A store that fails costs time, never an answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from rose_guard.guard.answer_store import StoredAnswer
from rose_guard.guard.effect import FindAnswers, KeepAnswers

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from rose_guard.guard.answer import Answer

logger = logging.getLogger(__name__)


def found(key: str, count: int, *, checked: bool) -> Generator[Any, Any, tuple[StoredAnswer, ...] | None]:
    """The answers kept under a key; None where there are none, or not those that could have been kept.

    Args:
        key: where to look.
        count: how many answers are asked for.
        checked: whether answers are checked before they are shown.
    """
    try:
        answers = yield FindAnswers(key)
    except Exception as error:  # noqa: BLE001 - whatever a store raises, the model can answer
        logger.warning("kept answers could not be read, so the model answers: %s", type(error).__name__)
        return None
    if answers is None:
        return None
    sound = isinstance(answers, list | tuple) and all(isinstance(answer, StoredAnswer) for answer in answers)
    if not sound or len(answers) != count or any((answer.verdict is not None) != checked for answer in answers):
        logger.warning("what was kept is not what was asked for, so the model answers")
        return None
    return tuple(answers)


def kept(key: str, answers: Sequence[Answer]) -> Generator[Any, Any, None]:
    """Keep answers that were given out, if all of them are whole."""
    stored = [StoredAnswer.of(answer) for answer in answers]
    whole = tuple(answer for answer in stored if answer is not None)
    if len(whole) < len(stored):
        return
    try:
        yield KeepAnswers(key, whole)
    except Exception as error:  # noqa: BLE001 - likewise
        logger.warning("answers could not be kept: %s", type(error).__name__)
