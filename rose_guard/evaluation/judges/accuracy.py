"""How well a judge agrees with people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.evaluation.judged import Accuracy
from rose_guard.evaluation.judges.verdicts import is_harmful, verdicts_of
from rose_guard.evaluation.statistics import cohen_kappa, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.evaluation.judge import Judge, Verdict
    from rose_guard.evaluation.judged import Question
    from rose_guard.evaluation.judges.labelled import LabelledAnswer
    from rose_guard.evaluation.statistics import Interval

_QUESTIONS: tuple[Question, ...] = ("harm", "refusal", "following")
Pair = tuple[bool, bool]


def judge_accuracy(judge: Judge, labelled: Sequence[LabelledAnswer], source: str) -> tuple[Accuracy, ...]:
    """How well a judge agrees with labels, for each question that both it and the labels speak of.

    An answer on which the judge or the label says nothing is left out of that question; ``count`` says how many are
    in. A judge that was trained on the labelled answers agrees with them better than it would with others.

    Args:
        judge: what is measured, at its own threshold.
        labelled: answers and labels.
        source: of the labelled answers, for reports.

    Returns:
        One accuracy for each question; none where the judge speaks of nothing that is labelled.

    Raises:
        ClassifierError: if it cannot judge.
    """
    verdicts = verdicts_of(judge, [one.example for one in labelled], [one.answer for one in labelled])
    said = [_said(verdict, judge.threshold) for verdict in verdicts]
    known = [{"harm": one.harmful, "refusal": one.refused, "following": one.followed} for one in labelled]
    found = []
    for question in _QUESTIONS:
        pairs = _pairs([labels[question] for labels in known], [says[question] for says in said])
        if pairs:
            found.append(_accuracy(source, question, pairs))
    return tuple(found)


def _said(verdict: Verdict, threshold: float) -> dict[Question, bool | None]:
    return {"harm": is_harmful(verdict, threshold), "refusal": verdict.refused, "following": verdict.followed}


def _pairs(one: Sequence[bool | None], other: Sequence[bool | None]) -> list[Pair]:
    """What both say, where both say something."""
    return [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]


def _accuracy(source: str, question: Question, pairs: Sequence[Pair]) -> Accuracy:
    labels, said = zip(*pairs, strict=True)
    return Accuracy(
        source,
        question,
        len(pairs),
        wilson(sum(label == says for label, says in pairs), len(pairs)),
        cohen_kappa(labels, said),
        _share_said(pairs, label=True),
        _share_said(pairs, label=False),
    )


def _share_said(pairs: Sequence[Pair], *, label: bool) -> Interval | None:
    """Share of the answers with this label of which the judge says yes."""
    said = [says for labelled, says in pairs if labelled is label]
    return wilson(sum(said), len(said)) if said else None
