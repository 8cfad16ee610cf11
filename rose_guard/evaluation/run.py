"""Run: a folder that says what was run, and holds every record of it. Another process can go on with it at any time."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from rose_guard.errors import InputError, SettingsError
from rose_guard.evaluation.configuration import Configuration, RunSettings, TaskSource
from rose_guard.evaluation.run_file import RunFile, read_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.evaluation.example import Example
    from rose_guard.evaluation.record import Record
    from rose_guard.evaluation.task import Task

CONFIGURATION = "run.json"
RECORDS = "records.jsonl"


@dataclass(frozen=True, slots=True)
class Questions:
    """The examples of a task that a run asks, and where they came from."""

    task: str
    examples: tuple[Example, ...] = field(repr=False)
    source: TaskSource

    @classmethod
    def load(cls, task: Task, path: str | Path, settings: RunSettings) -> Questions:
        """Read a task's examples.

        Raises:
            InputError: if the file does not fit the task, or no example is left of it.
        """
        part = None if settings.part == "all" else settings.part
        examples = tuple(task.load(path, settings.limit, settings.seed, part=part))
        if not examples:
            raise InputError(f"{path}: the task {task.name!r} has no example for the part {settings.part!r}")
        source = TaskSource(
            path=str(path),
            file_sha256=_file_digest(Path(path)),
            examples_sha256=_examples_digest(examples),
            examples=len(examples),
        )
        return cls(task.name, examples, source)


class Run:
    """A folder with ``run.json`` and ``records.jsonl``.

    Args:
        folder: of the run.

    Raises:
        InputError: if it holds no run.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.configuration = _read(self.folder / CONFIGURATION)

    @classmethod
    def begin(cls, folder: str | Path, configuration: Configuration) -> tuple[Run, RunFile]:
        """Begin a run, or go on with one of the same configuration; gives the file to append to, which is to be closed.

        Raises:
            SettingsError: if the folder holds a run of something else, which is told, or another process writes to it.
            InputError: if it holds records that are none, or no run's.
        """
        path = Path(folder)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"{path} cannot be made ({error.strerror}); give another folder") from error
        file = RunFile(path / RECORDS)
        try:
            _agree(path, configuration, file)
        except BaseException:
            file.close()
            raise
        return cls(path), file

    def records(self) -> list[Record]:
        """Every record so far.

        Raises:
            InputError: if the file holds anything else.
        """
        return read_records(self.folder / RECORDS)

    def examples(self) -> dict[tuple[str, str], Example]:
        """The examples that were asked, by task and id, read anew from where they came.

        Raises:
            InputError: if a file is gone, or is not what it was.
        """
        from rose_guard.evaluation.tasks import task_named

        found: dict[tuple[str, str], Example] = {}
        for name, source in self.configuration.tasks.items():
            questions = Questions.load(task_named(name), source.path, self.configuration.settings)
            if questions.source != source:
                raise InputError(f"{source.path}: is not what it was when the run began; put the old file back")
            found.update({(name, example.id): example for example in questions.examples})
        return found


def _agree(folder: Path, now: Configuration, file: RunFile) -> None:
    """Write down what the folder is a run of, or see that it is one of this."""
    path = folder / CONFIGURATION
    if not path.exists():
        if file.records:
            raise InputError(f"{folder} holds records of which no {CONFIGURATION} tells; give another folder")
        _write(path, now)
    elif differences := _read(path).differences(now):
        told = "\n".join(f"  {line}" for line in differences)
        raise SettingsError(f"{folder} holds a run of something else; give another folder, or mend:\n{told}")


def _read(path: Path) -> Configuration:
    try:
        return Configuration.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give the folder of a run") from error
    except (ValidationError, SettingsError):
        raise InputError(f"{path} does not tell of a run of this version; begin anew in another folder") from None


def _write(path: Path, configuration: Configuration) -> None:
    """Write it whole, or not at all."""
    beside = path.with_suffix(".tmp")
    content = json.dumps(configuration.model_dump(), indent=2, ensure_ascii=False) + "\n"
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written ({error.strerror}); see to the folder and the disk") from error


def _file_digest(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _examples_digest(examples: Sequence[Example]) -> str:
    told = hashlib.sha256()
    for example in examples:
        told.update(json.dumps(_plain(example), sort_keys=True).encode())
    return told.hexdigest()


def _plain(example: Example) -> dict[str, object]:
    parts = {name: getattr(example, name) for name in example.__dataclass_fields__}
    messages = [asdict(message) for message in example.messages]
    return {**parts, "messages": messages, "extra": dict(example.extra)}
