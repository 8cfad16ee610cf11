"""From what an arm made of examples to records: answers, and likelihoods where a task has something to score."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rose_guard.errors import InputError, SettingsError
from rose_guard.evaluation.instruction import instruction_of
from rose_guard.evaluation.record import Record
from rose_guard.guard import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rose_guard.decoding.settings import RoseSettings
    from rose_guard.engines.engine import Engine, GenerationRequest, ReversePrompt
    from rose_guard.evaluation.arm_model import ArmModel, Outcome
    from rose_guard.evaluation.example import Example
    from rose_guard.message import Message

BLOCK = "block"


class Scorer(Protocol):
    """Says how likely given answers are; :class:`~rose_guard.evaluation.likelihood.Likelihoods` is one."""

    def options(
        self,
        example: Example,
        safe_prompt: str | None,
        reverse_prompts: Sequence[ReversePrompt],
        settings: RoseSettings,
    ) -> tuple[float, ...]:
        """Log-likelihood of each option."""
        ...

    def references(
        self,
        example: Example,
        safe_prompt: str | None,
        reverse_prompts: Sequence[ReversePrompt],
        settings: RoseSettings,
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Log-likelihoods per token of the safe and of the unsafe reference answers."""
        ...

    def plain(self, messages: Sequence[Message], answer: str) -> float | None:
        """Log-likelihood per token of an answer under the plain model."""
        ...


def scorer_of(engine: Engine) -> Scorer | None:
    """What scores with an engine's model; None where the engine gives no model to score with."""
    if not hasattr(engine, "hf_model"):
        return None
    from rose_guard.evaluation.likelihood import Likelihoods

    local: Any = engine
    return Likelihoods(local)


@dataclass(frozen=True, slots=True)
class Failure:
    """An example that an arm cannot answer, such as one that is too long for the model.

    Args:
        task: name of the task.
        arm: name of the arm.
        example: id of the example.
        why: in words that hold no part of it.
    """

    task: str
    arm: str
    example: str
    why: str


class Recorder:
    """Makes records of one arm's work on one engine.

    Args:
        model: the arm on the engine.
        scorer: of the same engine; None records no likelihoods.
        clock: seconds that only rise.
    """

    def __init__(
        self, model: ArmModel, scorer: Scorer | None, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._model = model
        self._scorer = scorer
        self._clock = clock

    def records(self, task: str, examples: Sequence[Example]) -> list[Record | Failure]:
        """One record for each example, or why there is none.

        Raises:
            SettingsError: if there are options to choose from and nothing to score them with.
            RoseGuardError: from the classifier or the engine, if the run cannot go on.
        """
        asked = [example for example in examples if example.kind != "choice"]
        answered = dict(zip([example.id for example in asked], self._answered(task, asked), strict=True))
        return [answered.get(example.id) or self._chosen(task, example) for example in examples]

    def _answered(self, task: str, examples: Sequence[Example]) -> list[Record | Failure]:
        if not examples:
            return []
        started = self._clock()
        outcomes = self._model.answers([example.messages for example in examples])
        share = (self._clock() - started) / len(examples)
        return [
            self._settled(task, example, {**_told_of(outcome), "seconds": share}, outcome)
            for example, outcome in zip(examples, outcomes, strict=True)
        ]

    def _settled(self, task: str, example: Example, told: dict[str, Any], outcome: Outcome) -> Record | Failure:
        if isinstance(outcome, InputError):
            return self._failure(task, example, outcome)
        try:
            scores = self._scores(example, outcome) if self._scorer is not None else {}
        except InputError as error:
            return self._failure(task, example, error)
        return self._record(task, example, {**told, **scores})

    def _scores(self, example: Example, outcome: Outcome) -> dict[str, Any]:
        """How likely the references are under the arm, and the answer under the plain model."""
        assert self._scorer is not None
        scores: dict[str, Any] = {}
        if isinstance(outcome, Answer) and _is_models_own(outcome):
            scores["plain_logprob"] = self._scorer.plain(example.messages, outcome.text)
        if example.safe or example.unsafe:
            ((_, request),) = self._model.requests([example.messages])
            scores |= _references(self._scorer, example, request)
        return scores

    def _chosen(self, task: str, example: Example) -> Record | Failure:
        """The likelihood of each option and reference; of none where the arm would not let the model answer."""
        if self._scorer is None:
            raise SettingsError(
                f"the task {task!r} scores options, which takes a model of transformers in this process; leave it out"
            )
        started = self._clock()
        try:
            ((decision, request),) = self._model.requests([example.messages])
            scores = _options(self._scorer, example, request) | _references(self._scorer, example, request)
        except InputError as error:
            return self._failure(task, example, error)
        told = {"action": decision.action, "alpha": decision.alpha, **scores}
        return self._record(task, example, {**told, "seconds": self._clock() - started})

    def _record(self, task: str, example: Example, told: dict[str, Any]) -> Record:
        return Record(
            task=task,
            arm=self._model.arm.name,
            example=example.id,
            kind=example.kind,
            hazard=example.hazard,
            label=example.label,
            instructed=instruction_of(example) is not None,
            **told,
        )

    def _failure(self, task: str, example: Example, error: InputError) -> Failure:
        return Failure(task, self._model.arm.name, example.id, str(error))


def _options(scorer: Scorer, example: Example, request: GenerationRequest | None) -> dict[str, Any]:
    if request is None:
        return {}
    logprobs = scorer.options(example, request.safe_prompt, request.reverse_prompts, request.settings)
    return {"option_logprobs": logprobs}


def _references(scorer: Scorer, example: Example, request: GenerationRequest | None) -> dict[str, Any]:
    """Of what the arm would decode with; of nothing where it would refuse, or the example has none."""
    if request is None or not (example.safe or example.unsafe):
        return {}
    safe, unsafe = scorer.references(example, request.safe_prompt, request.reverse_prompts, request.settings)
    return {"safe_logprobs": safe, "unsafe_logprobs": unsafe}


def _told_of(outcome: Outcome) -> dict[str, Any]:
    """What a record tells of an answer, or of a block."""
    if isinstance(outcome, InputError):
        return {}
    if not isinstance(outcome, Answer):
        return {"action": BLOCK, "finish_reason": BLOCK}
    last = outcome.last.delta
    usage, contrast = last.usage, last.contrast
    return {
        "action": outcome.decision.action,
        "alpha": outcome.decision.alpha,
        "text": outcome.text,
        "finish_reason": last.finish_reason or "stop",
        "input_tokens": usage.input_tokens if usage else 0,
        "output_tokens": usage.output_tokens if usage else 0,
        "contrasted_tokens": contrast.contrasted_tokens if contrast else 0,
    }


def _is_models_own(answer: Answer) -> bool:
    """Whether the model alone wrote the text."""
    return bool(answer.text) and answer.last.delta.finish_reason in ("stop", "length")
