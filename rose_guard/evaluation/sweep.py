"""Sweep: every task under every arm, in batches, on one engine or several; what is on record is not done again.

Arms take turns batch by batch, so that a run that is cut off has pairs to compare, and a machine that grows slow is
slow for all of them.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING

from rose_guard.decoding.settings import RoseSettings
from rose_guard.errors import SettingsError
from rose_guard.evaluation.arm_model import ArmModel
from rose_guard.evaluation.configuration import MAX_BATCH, Configuration, RunSettings
from rose_guard.evaluation.recording import Failure, Recorder, Scorer, scorer_of
from rose_guard.evaluation.run import Questions, Run
from rose_guard.guard import GenerationOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rose_guard.engines.engine import Engine
    from rose_guard.evaluation.arm import Arm
    from rose_guard.evaluation.example import Example
    from rose_guard.evaluation.run_file import RunFile
    from rose_guard.evaluation.task import Task
    from rose_guard.risk.answer_classifier import AnswerClassifier
    from rose_guard.risk.classifier import RiskClassifier

Progress = Callable[[int, int], None]
"""Told how many records there are, and how many there will be."""

FAILURES = "failures.jsonl"
DEFAULT_BATCH = 16


@dataclass(frozen=True, slots=True)
class Job:
    """One batch of a task for one arm."""

    task: str
    arm: str
    examples: tuple[Example, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is to be run.

    Args:
        tasks: each with the path of its file.
        arms: how to decode.
        engines: what decodes; several of the same model work side by side.
        settings: what all arms share.
        classifier: what scores, where an arm steers by risk.
        answer_classifier: what scores answers, where an arm's policy checks them.
        batch_size: how many examples are decoded together.
        scorer: gives what scores likelihoods with an engine.

    Raises:
        SettingsError: if a name is there twice, there is nothing to do, or the engines run different models.
    """

    tasks: Sequence[tuple[Task, str | Path]]
    arms: Sequence[Arm]
    engines: Sequence[Engine]
    settings: RunSettings = field(default_factory=RunSettings)
    classifier: RiskClassifier | None = None
    answer_classifier: AnswerClassifier | None = None
    batch_size: int = DEFAULT_BATCH
    scorer: Callable[[Engine], Scorer | None] = scorer_of

    def __post_init__(self) -> None:
        for what, names in (
            ("task", [task.name for task, _ in self.tasks]),
            ("arm", [arm.name for arm in self.arms]),
        ):
            if not names:
                raise SettingsError(f"there is no {what} to run; give at least one")
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise SettingsError(f"the {what} {twice[0]!r} is there twice; leave one out")
        if len({engine.model_id for engine in self.engines}) != 1:
            raise SettingsError("give at least one engine, and several only of the same model and dtype")
        if not 1 <= self.batch_size <= MAX_BATCH:
            raise SettingsError(f"batch_size = {self.batch_size}: must be 1 to {MAX_BATCH}")

    def run(self, folder: str | Path, progress: Progress | None = None) -> tuple[Run, list[Failure]]:
        """Run what is not on record yet.

        Args:
            folder: where records go; one of a run of the same configuration is gone on with.
            progress: told after each batch.

        Returns:
            The run, and the examples that an arm could not answer; they stand in ``failures.jsonl`` too.

        Raises:
            SettingsError: if the folder holds a run of something else, which is told.
            InputError: if a task's file does not fit.
            RoseGuardError: from the classifier or an engine; the same command goes on from there.
        """
        questions = [Questions.load(task, path, self.settings) for task, path in self.tasks]
        lines = [self._line(engine) for engine in self.engines]
        run, file = Run.begin(folder, self._configuration(questions))
        with closing(file):
            work = _Work(file, questions, self.arms, self.batch_size, progress or _silently)
            _on_all(lines, work)
        _write_failures(run, work.failures)
        return run, work.failures

    def _line(self, engine: Engine) -> _Line:
        """Every arm on one engine."""
        options = GenerationOptions(
            RoseSettings(temperature=self.settings.temperature, seed=self.settings.seed), self.settings.max_new_tokens
        )
        scorer = self.scorer(engine)
        return {
            arm.name: Recorder(
                ArmModel(
                    arm,
                    engine,
                    options,
                    classifier=self.classifier,
                    answer_classifier=self.answer_classifier,
                ),
                scorer,
            )
            for arm in self.arms
        }

    def _configuration(self, questions: Sequence[Questions]) -> Configuration:
        scores = any(arm.needs_scores for arm in self.arms) and self.classifier is not None
        checks = any(policy.output.enabled for arm in self.arms if (policy := arm.policy()) is not None)
        return Configuration(
            model=self.engines[0].model_id,
            classifier=self.classifier.name if scores and self.classifier else None,
            answer_classifier=self.answer_classifier.name if checks and self.answer_classifier else None,
            settings=self.settings,
            arms={arm.name: arm.definition() for arm in self.arms},
            tasks={each.task: each.source for each in questions},
            machine={
                "python": platform.python_version(),
                "platform": platform.platform(),
                "engines": len(self.engines),
                "batch_size": self.batch_size,
                "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            },
        )


_Line = dict[str, Recorder]


class _Work:
    """What is still to do, shared by those who do it."""

    def __init__(
        self,
        file: RunFile,
        questions: Sequence[Questions],
        arms: Sequence[Arm],
        batch_size: int,
        progress: Progress,
    ) -> None:
        self.stopped = Event()
        self.failures: list[Failure] = []
        self._file = file
        self._progress = progress
        self._lock = Lock()
        asked = {(each.task, arm.name, example.id) for each in questions for arm in arms for example in each.examples}
        done = {record.key for record in file.records}
        self._total, self._done = len(asked), len(done & asked)
        self._jobs = jobs(questions, arms, batch_size, done)
        progress(self._done, self._total)

    def do_all(self, line: _Line) -> None:
        """Do one job after the other, until there is none or somebody failed."""
        try:
            while not self.stopped.is_set() and (job := self._next()) is not None:
                self._do(job, line)
        except BaseException:
            self.stopped.set()
            raise

    def _next(self) -> Job | None:
        with self._lock:
            return next(self._jobs, None)

    def _do(self, job: Job, line: _Line) -> None:
        found = line[job.arm].records(job.task, job.examples)
        failures = [each for each in found if isinstance(each, Failure)]
        self._file.append([each for each in found if not isinstance(each, Failure)])
        with self._lock:
            self.failures += failures
            self._done += len(found)
            self._progress(self._done, self._total)


def jobs(
    questions: Sequence[Questions], arms: Sequence[Arm], batch_size: int, done: set[tuple[str, str, str]]
) -> Iterator[Job]:
    """What is to do, in order: batch by batch of each task, every arm in turn.

    Args:
        questions: of each task.
        arms: how to decode.
        batch_size: how many examples go together; the same ones whatever is done already.
        done: keys of the records that there are.
    """
    for each in questions:
        for start in range(0, len(each.examples), batch_size):
            batch = each.examples[start : start + batch_size]
            for arm in arms:
                left = tuple(example for example in batch if (each.task, arm.name, example.id) not in done)
                if left:
                    yield Job(each.task, arm.name, left)


def _on_all(lines: Sequence[_Line], work: _Work) -> None:
    if len(lines) == 1:
        work.do_all(lines[0])
        return
    with ThreadPoolExecutor(len(lines), thread_name_prefix="rose-guard-eval") as pool:
        try:
            for future in [pool.submit(work.do_all, line) for line in lines]:
                future.result()
        finally:  # one that failed, or an interrupt, ends the others after their batch
            work.stopped.set()


def _silently(done: int, total: int) -> None:
    """Tell nobody."""


def _write_failures(run: Run, failures: Sequence[Failure]) -> None:
    """Those of this time: an example that could not be answered is tried again each time."""
    lines = "".join(json.dumps(asdict(failure), ensure_ascii=False) + "\n" for failure in failures)
    (run.folder / FAILURES).write_text(lines, encoding="utf-8")
