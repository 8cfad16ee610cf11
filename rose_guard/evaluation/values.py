"""Values: one figure, example by example and arm by arm; from them come its means and how arms differ in it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rose_guard.evaluation.figure import Case
from rose_guard.evaluation.measurement import BASELINE, Comparison, Measurement
from rose_guard.evaluation.statistics import bootstrap, holm, paired_bootstrap, paired_test, per_unit, wilson

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from rose_guard.evaluation.coverage import Coverage
    from rose_guard.evaluation.figure import Figure
    from rose_guard.evaluation.judged import Judged
    from rose_guard.evaluation.measurement import Scope
    from rose_guard.evaluation.record import Record
    from rose_guard.evaluation.statistics import Interval

    Key = tuple[str, str]
    Value = tuple[float, float]
    Scopes = Mapping[Scope, Container[Key]]


@dataclass(frozen=True, slots=True)
class Values:
    """One figure by one judge.

    Args:
        figure: its name.
        judge: whose verdicts it rests on; empty where none.
        by_arm: amount and unit of each example that it is due for; None where it is not known.
        absent: task, arm and example of what has no record.
    """

    figure: str
    judge: str
    by_arm: Mapping[str, Mapping[Key, Value | None]] = field(repr=False)
    absent: frozenset[tuple[str, str, str]] = field(default=frozenset(), repr=False)

    @classmethod
    def of(
        cls, figure: Figure, judge: Judged, coverage: Coverage, degenerate: Container[tuple[str, str, str]]
    ) -> Values:
        """What is due for one arm is due for all.

        Args:
            figure: which.
            judge: whose verdicts count.
            coverage: what there is, and what there was to be.
            degenerate: keys of the records whose answer is.
        """
        found: dict[str, dict[Key, Value | None]] = {arm: {} for arm in coverage.arms}
        for record, case in _cases(judge, coverage, degenerate):
            if figure.due(record):
                found[record.arm][record.task, record.example] = None if case is None else _value(figure, case)
        due = list(dict.fromkeys(key for values in found.values() for key in values))
        by_arm = {arm: {key: values.get(key) for key in due} for arm, values in found.items()}
        return cls(figure.name, judge.judge, by_arm, frozenset(record.key for record in coverage.absent))

    def measurements(self, scopes: Scopes) -> Iterator[Measurement]:
        """The mean of each arm, over each scope."""
        for scope, keys in scopes.items():
            for arm, by_key in self.by_arm.items():
                due = {key: value for key, value in by_key.items() if key in keys}
                known = [value for value in due.values() if value is not None]
                unrecorded = sum((task, arm, example) in self.absent for task, example in due)
                if due:
                    missing = len(due) - len(known)
                    estimate = _estimate(known)
                    yield Measurement(scope, arm, self.figure, self.judge, estimate, len(known), missing, unrecorded)

    def comparisons(self, scopes: Scopes, pairs: Iterable[tuple[str, str]]) -> Iterator[Comparison]:
        """How each of these pairs of arms differs, over each scope."""
        for arm, against in pairs:
            theirs = self.by_arm[against]
            for scope, keys in scopes.items():
                due = [(value, theirs[key]) for key, value in self.by_arm[arm].items() if key in keys]
                known = [(a, b) for a, b in due if a is not None and b is not None]
                if not due:
                    continue
                difference, p = _difference(known) if known else (None, None)
                missing = len(due) - len(known)
                yield Comparison(scope, arm, against, self.figure, self.judge, difference, p, p, len(known), missing)


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """With p-values adjusted among those of one figure, one judge and one kind of scope."""
    families: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    for i, comparison in enumerate(comparisons):
        if comparison.p is not None:
            families[comparison.figure, comparison.judge, comparison.scope.kind].append(i)
    found = list(comparisons)
    for family in families.values():
        p_values = [p for i in family if (p := comparisons[i].p) is not None]
        for i, p in zip(family, holm(p_values), strict=True):
            found[i] = replace(comparisons[i], adjusted=p)
    return found


def _cases(
    judge: Judged, coverage: Coverage, degenerate: Container[tuple[str, str, str]]
) -> Iterator[tuple[Record, Case | None]]:
    """Every record with what is known of it, then the absent ones, of which nothing is."""
    plain = {(record.task, record.example): record.text for record in coverage.records if record.arm == BASELINE}
    for record in coverage.records:
        key = record.task, record.example
        right = coverage.examples[key].answer if key in coverage.examples else None
        verdict = judge.verdicts.get(record.key)
        yield record, Case(record, verdict, judge.threshold, record.key in degenerate, right, plain.get(key))
    for record in coverage.absent:
        yield record, None


def _value(figure: Figure, case: Case) -> Value | None:
    amount = figure.of(case)
    return None if amount is None else (amount, figure.unit(case))


def _estimate(known: Sequence[Value]) -> Interval | None:
    if not known:
        return None
    values = per_unit(*zip(*known, strict=True))
    return wilson(int(sum(values)), len(values)) if {*values} <= {0, 1} else bootstrap(values)


def _difference(pairs: Sequence[tuple[Value, Value]]) -> tuple[Interval, float]:
    ours, theirs = (per_unit(*zip(*side, strict=True)) for side in zip(*pairs, strict=True))
    return paired_bootstrap(ours, theirs), paired_test(ours, theirs)
