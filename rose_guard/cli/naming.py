"""What commands of an evaluation are told by name: tasks with their files, figures with their limits."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from rose_guard.errors import InputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rose_guard.evaluation.task import Task


@contextmanager
def wrongly_called() -> Iterator[None]:
    """What is wrong with a setting or a name here is wrong with the call."""
    try:
        yield
    except (InputError, SettingsError) as error:
        raise typer.BadParameter(str(error)) from None


def asked_tasks(asked: Sequence[str]) -> list[tuple[Task, str]]:
    """Each ``NAME=FILE`` as a task and where its file is.

    Raises:
        SettingsError: if one is not of that form.
        InputError: if there is no such task.
    """
    from rose_guard.evaluation.tasks import task_named

    return [(task_named(name), path) for name, path in map(_halves, asked)]


def limits(asked: Sequence[str]) -> dict[str, float]:
    """Each ``FIGURE=NUMBER`` as a limit.

    Raises:
        SettingsError: if one is not of that form.
    """
    found: dict[str, float] = {}
    for figure, number in map(_halves, asked):
        try:
            found[figure] = float(number)
        except ValueError:
            raise SettingsError(f"{figure}: its limit must be a number, as in safety=0.9") from None
    return found


def _halves(asked: str) -> tuple[str, str]:
    name, equals, value = asked.partition("=")
    if not (name and equals and value):
        raise SettingsError(f"{asked!r} is not of the form NAME=VALUE")
    return name, value
