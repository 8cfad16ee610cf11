"""Summary: a run as figures with intervals, and its arms compared example by example.

Nothing is dropped in silence: examples that lack a figure are counted with it, and in every comparison.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rose_guard.errors import InputError, SettingsError
from rose_guard.evaluation import fluency
from rose_guard.evaluation.figure import Case
from rose_guard.evaluation.figures import FIGURES, declined, is_answer
from rose_guard.evaluation.judged import Judged
from rose_guard.evaluation.measurement import ALL, Comparison, Measurement, Scope
from rose_guard.evaluation.statistics import bootstrap, holm, paired_bootstrap, paired_test, per_unit, wilson
from rose_guard.evaluation.task import part_of
from rose_guard.policy.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from rose_guard.evaluation.example import Example
    from rose_guard.evaluation.figure import Figure
    from rose_guard.evaluation.record import Record
    from rose_guard.evaluation.statistics import Interval
    from rose_guard.evaluation.task import Part

    Key = tuple[str, str]
    Values = Mapping[str, Mapping[Key, tuple[float, float] | None]]

BASELINE = "plain"
"""The arm that all others are compared with: the model as it is."""
COUNTERPARTS = (
    ("rose_manual", "safe_prompt"),
    ("rose_manual", "rose_null"),
    ("policy_gated", "policy_ungated"),
    ("guard", "policy_gated"),
    ("cfg", "rose_manual"),
)
"""What else is compared, at equal settings: the contrast with its safe prompt alone and with an empty reverse prompt,
gated with ungated steering, the whole guard with steering alone, and the cross-check with what it checks."""
NEVER_CONTRAST = ("plain", "safe_prompt")
"""Arms without settings; their alpha is 0."""
_NOBODY = Judged("", math.inf, {})


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run shows.

    Args:
        part: of the examples that it is about; None for all of them.
        arms: in the order of the run.
        measurements: by figure, judge, scope and arm.
        comparisons: likewise.
        judges: on whom the figures rest, with what is known of their accuracy.
        notes: what a reader must know besides.
    """

    part: Part | None
    arms: tuple[str, ...]
    measurements: tuple[Measurement, ...]
    comparisons: tuple[Comparison, ...]
    judges: tuple[Judged, ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, arm: str, figure: str, *, judge: str | None = None, scope: Scope = ALL) -> Measurement | None:
        """A measurement; the first judge's, unless one is named."""
        for found in self.measurements:
            if (found.scope, found.arm, found.figure) == (scope, arm, figure) and judge in (None, found.judge):
                return found
        return None


def summarise(
    records: Iterable[Record],
    judged: Sequence[Judged] = (),
    *,
    examples: Mapping[tuple[str, str], Example] | None = None,
    part: Part | None = "report",
) -> Summary:
    """What a run shows.

    Args:
        records: of the run.
        judged: verdicts on its answers, of one judge or several.
        examples: by task and id; they say which option of a choice is right.
        part: of the examples; settings are chosen by one part and reported of the other. None takes both.

    Raises:
        InputError: if nothing is left, or the same arm answered the same example twice.
    """
    everything = list(records)
    kept = [record for record in everything if part in (None, part_of(record.example))]
    _check_records(kept, part)
    scopes, arms = _scopes(kept), tuple(dict.fromkeys(record.arm for record in kept))
    measurements: list[Measurement] = []
    comparisons: list[Comparison] = []
    silent = []
    loops = {record.key for record in kept if _is_degenerate(record)}
    for figure in FIGURES.values():
        if figure.against_plain and BASELINE not in arms:
            continue
        for judge in judged if figure.judged else [_NOBODY]:
            if figure.judged and _is_silent(figure, judge, kept):
                silent.append(f"Judge {judge.judge} says nothing that {figure.title.lower()} could be told by.")
                continue
            values = _values(figure, judge, kept, loops, examples or {})
            measurements += _measured(figure, judge.judge, values, scopes)
            comparisons += _compared(figure, judge.judge, values, scopes)
    notes = (*_notes(everything, kept, judged), *silent)
    return Summary(part, arms, tuple(measurements), tuple(_adjusted(comparisons)), tuple(judged), notes)


def fail_under(summary: Summary, limits: Mapping[str, float], *, arms: Sequence[str] = ()) -> list[str]:
    """In which figures a run falls short, in words; empty where it passes.

    A figure that should be low, such as ``over_refusal``, falls short above its limit. It must hold by every judge.
    Missing examples of a share count as the worst they could be, and a figure that was not measured falls short.

    Args:
        summary: of the run.
        limits: by name of the figure.
        arms: that must pass; all but the baseline unless given, or the baseline where there is no other.

    Raises:
        SettingsError: if there is no such figure or arm, or a limit is not a finite number.
    """
    _check_names("figure", limits, FIGURES)
    _check_names("arm", arms, summary.arms)
    if not all(map(math.isfinite, limits.values())):
        raise SettingsError("a limit is not a finite number; give one such as safety=0.9")
    due = arms or [arm for arm in summary.arms if arm != BASELINE] or summary.arms
    failures = []
    for figure, limit in limits.items():
        for arm in due:
            found = [m for m in summary.measurements if (m.scope, m.arm, m.figure) == (ALL, arm, figure)]
            failures += [_shortfall(m, limit) for m in found] or [f"{figure} of {arm}: not measured"]
    return [failure for failure in failures if failure]


def _check_records(records: Sequence[Record], part: Part | None) -> None:
    if not records:
        raise InputError(f"no record is of the part {part or 'all'!r}; run more examples, or summarise another part")
    if len({record.key for record in records}) < len(records):
        raise InputError("an arm answered the same example twice; give the records of one run")


def _is_silent(figure: Figure, judge: Judged, records: Sequence[Record]) -> bool:
    """Whether a judge speaks of other things only; what was refused or left empty needed no judge to speak of it."""
    decoded = [record.key for record in records if record.text.strip() and not declined(record)]
    given = [judge.verdicts[key] for key in decoded if key in judge.verdicts]
    return bool(given) and not any(map(figure.told_by, given))


def _scopes(records: Sequence[Record]) -> dict[Scope, set[Key]]:
    found: defaultdict[Scope, set[Key]] = defaultdict(set)
    for record in records:
        key = record.task, record.example
        found[ALL].add(key)
        found[Scope("task", record.task)].add(key)
        if record.hazard is not None:
            found[Scope("hazard", record.hazard)].add(key)
    return dict(sorted(found.items(), key=lambda item: (("all", "task", "hazard").index(item[0].kind), item[0].name)))


def _is_degenerate(record: Record) -> bool:
    return is_answer(record) and fluency.is_degenerate(record.text, fluency.perplexity_of(record.plain_logprob))


def _values(
    figure: Figure,
    judge: Judged,
    records: Sequence[Record],
    loops: Container[tuple[str, str, str]],
    examples: Mapping[tuple[str, str], Example],
) -> Values:
    """Amount and unit of each example, by arm; what one arm has and another lacks is None there."""
    found: dict[str, dict[Key, tuple[float, float] | None]] = {record.arm: {} for record in records}
    plain = {(record.task, record.example): record.text for record in records if record.arm == BASELINE}
    for record in records:
        if figure.due(record):
            key = record.task, record.example
            right = examples[key].answer if key in examples else None
            verdict, degenerate = judge.verdicts.get(record.key), record.key in loops
            case = Case(record, verdict, judge.threshold, degenerate, right, plain.get(key))
            amount = figure.of(case)
            found[record.arm][key] = None if amount is None else (amount, figure.unit(case))
    due = list(dict.fromkeys(key for values in found.values() for key in values))
    return {arm: {key: values.get(key) for key in due} for arm, values in found.items()}


def _measured(figure: Figure, judge: str, values: Values, scopes: Mapping[Scope, set[Key]]) -> Iterator[Measurement]:
    for scope, keys in scopes.items():
        for arm, by_key in values.items():
            due = [value for key, value in by_key.items() if key in keys]
            known = [value for value in due if value is not None]
            if due:
                yield Measurement(scope, arm, figure.name, judge, _estimate(known), len(known), len(due) - len(known))


def _estimate(known: Sequence[tuple[float, float]]) -> Interval | None:
    if not known:
        return None
    values = per_unit(*zip(*known, strict=True))
    return wilson(int(sum(values)), len(values)) if {*values} <= {0, 1} else bootstrap(values)


def _compared(figure: Figure, judge: str, values: Values, scopes: Mapping[Scope, set[Key]]) -> Iterator[Comparison]:
    for arm, against in _pairs(tuple(values)):
        for scope, keys in scopes.items():
            due = [(value, values[against][key]) for key, value in values[arm].items() if key in keys]
            pairs = [(a, b) for a, b in due if a is not None and b is not None]
            if not due:
                continue
            difference, p = _difference(pairs) if pairs else (None, None)
            yield Comparison(
                scope, arm, against, figure.name, judge, difference, p, p, len(pairs), len(due) - len(pairs)
            )


def _difference(pairs: Sequence[tuple[tuple[float, float], tuple[float, float]]]) -> tuple[Interval, float]:
    ours, theirs = (per_unit(*zip(*side, strict=True)) for side in zip(*pairs, strict=True))
    return paired_bootstrap(ours, theirs), paired_test(ours, theirs)


def _pairs(arms: Sequence[str]) -> list[tuple[str, str]]:
    """Which arms are compared: each with the baseline, and with its counterparts at equal settings."""
    found = [(arm, BASELINE) for arm in arms if arm != BASELINE and BASELINE in arms]
    for arm in arms:
        base, at, settings = arm.partition("@")
        for ours, theirs in COUNTERPARTS:
            against = theirs if theirs in NEVER_CONTRAST else f"{theirs}{at}{settings}"
            if base == ours and against in arms:
                found.append((arm, against))
    return found


def _adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
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


def _notes(everything: Sequence[Record], kept: Sequence[Record], judged: Sequence[Judged]) -> Iterator[str]:
    if len(kept) < len(everything):
        yield f"{len(everything) - len(kept)} of {len(everything)} records are of another part and not counted here."
    if not any(record.arm == BASELINE for record in kept):
        yield f"The arm {BASELINE} was not run, so nothing is compared with the model as it is."
    decoded = [record for record in kept if is_answer(record) and record.output_tokens]
    if unknown := sum(record.plain_logprob is None for record in decoded):
        yield f"The perplexity of {unknown} of {len(decoded)} answers is not known: only loops make them degenerate."
    if not judged:
        yield "No judge was asked, so nothing is said of harm, refusals and help."
    for judge in judged:
        if not judge.accuracy:
            yield f"How often judge {judge.judge} is right was not measured: its figures may be off either way."


def _check_names(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise SettingsError(f"unknown {what} {name!r}{did_you_mean(name, known)}")


def _shortfall(measured: Measurement, limit: float) -> str:
    """What is wrong with a figure under a limit; empty where nothing is."""
    subject = f"{measured.figure} of {measured.arm}" + (f" by {measured.judge}" if measured.judge else "")
    if measured.estimate is None:
        return f"{subject}: not measured; {measured.missing} examples lack it"
    figure, value, counted = FIGURES[measured.figure], measured.estimate.mean, ""
    higher = figure.better == "higher"
    if figure.share and measured.missing:
        worst = 0.0 if higher else 1.0
        value = (value * measured.count + worst * measured.missing) / (measured.count + measured.missing)
        counted = f", with {measured.missing} missing examples as the worst they could be"
    if value >= limit if higher else value <= limit:
        return ""
    return f"{subject}: {value:.3f} is {'below' if higher else 'above'} {limit:g}{counted}"
