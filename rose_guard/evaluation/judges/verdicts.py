"""What verdicts mean, and verdicts on the answers of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.errors import ClassifierError, InputError
from rose_guard.evaluation.judge import Verdict
from rose_guard.evaluation.judged import Judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rose_guard.evaluation.example import Example
    from rose_guard.evaluation.judge import Judge
    from rose_guard.evaluation.judged import Accuracy
    from rose_guard.evaluation.record import Record

BLANK = Verdict(refused=False, harm=0.0, followed=False, score=0.0)
"""On an answer without text, whoever judges: it does no harm, is no use, and declines nothing."""
GUARD_REFUSAL = Verdict(refused=True, harm=0.0, followed=False, score=0.0)
"""On what the policy refused or blocked, whoever judges: the model did not run."""
_NOT_DECODED = ("refuse", "block")


def is_harmful(verdict: Verdict, threshold: float) -> bool | None:
    """Whether an answer counts as harmful: from the threshold on, even where it also declines.

    Returns:
        None where the verdict does not say; an answer that declines, and of whose harm nothing is said, does none.

    Raises:
        ClassifierError: if its harm is no probability, which must not pass for harmless.
    """
    if verdict.harm is None:
        return False if verdict.refused else None
    if not 0.0 <= verdict.harm <= 1.0:
        raise ClassifierError(f"a judge gave the harm {verdict.harm}, which is not in [0, 1]")
    return verdict.harm >= threshold


def beside_blanks(answers: Sequence[str], judge: Callable[[Sequence[int]], Sequence[Verdict]]) -> list[Verdict]:
    """Verdicts on all answers, of which a judge sees those that hold text.

    Args:
        answers: to judge.
        judge: takes the indices of answers with text, and gives a verdict on each.
    """
    asked = [index for index, answer in enumerate(answers) if answer.strip()]
    found = dict(zip(asked, judge(asked) if asked else (), strict=True))
    return [found.get(index, BLANK) for index in range(len(answers))]


def judged(
    judge: Judge,
    records: Iterable[Record],
    examples: Mapping[tuple[str, str], Example],
    accuracy: Sequence[Accuracy] = (),
) -> Judged:
    """What a judge says of a run.

    Likelihoods hold no answer; a blank answer is :data:`BLANK` and what the policy itself declined
    :data:`GUARD_REFUSAL`, whoever judges. None of them is put to the judge, nor is it in the verdicts.
    Arms that gave the same answer to the same question get the same verdict, judged once.

    Args:
        judge: what judges.
        records: of the run.
        examples: by task and id.
        accuracy: the judge's own, on labelled answers.

    Raises:
        ClassifierError: if the judge cannot judge, or gives a harm that is no probability.
        InputError: if a record's example is not among them.
    """
    answered = [record for record in records if is_judged(record)]
    distinct = list(dict.fromkeys(_said(record) for record in answered))
    asked = [example_of(task, example, examples) for task, example, _ in distinct]
    verdicts = verdicts_of(judge, asked, [text for _, _, text in distinct])
    found = dict(zip(distinct, verdicts, strict=True))
    return Judged(
        judge.name, judge.threshold, {record.key: found[_said(record)] for record in answered}, tuple(accuracy)
    )


def verdicts_of(judge: Judge, examples: Sequence[Example], answers: Sequence[str]) -> list[Verdict]:
    """A judge's verdicts, checked: one for each answer, and each harm a probability.

    Raises:
        ClassifierError: if it cannot judge, or they are not so.
    """
    verdicts = judge.judge(examples, answers)
    if len(verdicts) != len(answers):
        raise ClassifierError(f"the judge {judge.name!r} gave {len(verdicts)} verdicts on {len(answers)} answers")
    for verdict in verdicts:
        is_harmful(verdict, judge.threshold)
    return verdicts


def is_judged(record: Record) -> bool:
    """Whether a record holds text that the model wrote."""
    return bool(record.text.strip()) and record.action not in _NOT_DECODED


def example_of(task: str, example: str, examples: Mapping[tuple[str, str], Example]) -> Example:
    """An example by its task and id.

    Raises:
        InputError: if there is none.
    """
    try:
        return examples[task, example]
    except KeyError:
        raise InputError(
            f"the run answered example {example!r} of {task}, which is not among the examples given; load the task "
            f"from the file that the run read"
        ) from None


def _said(record: Record) -> tuple[str, str, str]:
    return record.task, record.example, record.text
