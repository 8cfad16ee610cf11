"""Summary: a run as figures with intervals, and its arms compared example by example.

Nothing is dropped in silence: examples that lack a figure are counted with it, and in every comparison.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rose_guard.errors import SettingsError
from rose_guard.evaluation import fluency
from rose_guard.evaluation.agreement import agreements
from rose_guard.evaluation.coverage import Coverage
from rose_guard.evaluation.figures import FIGURES, declined, is_answer
from rose_guard.evaluation.judged import Judged
from rose_guard.evaluation.measurement import ALL, BASELINE, Comparison, Measurement, Scope
from rose_guard.evaluation.values import Values, adjusted
from rose_guard.policy.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rose_guard.evaluation.agreement import Agreement
    from rose_guard.evaluation.example import Example
    from rose_guard.evaluation.figure import Figure
    from rose_guard.evaluation.record import Record
    from rose_guard.evaluation.task import Part

COUNTERPARTS = (
    ("rose_manual", "safe_prompt"),
    ("rose_manual", "rose_null"),
    ("policy_gated", "policy_ungated"),
    ("policy_gated", "policy_prompt"),
    ("policy_gated", "policy_null"),
    ("guard", "policy_gated"),
    ("cfg", "rose_manual"),
)
"""What else is compared, at equal settings: the paper's contrast and the policy's, each with its safe prompt alone and
with an empty reverse prompt, gated with ungated steering, the whole guard with steering alone, and the cross-check with
what it checks."""
NEVER_CONTRAST = ("plain", "safe_prompt", "policy_prompt")
"""Arms without settings; their alpha is 0."""
_FINISH = "finish the run by the same `rose-guard eval run` command; failures.jsonl lists what could not be answered"
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
        agreements: of every two judges.
    """

    part: Part | None
    arms: tuple[str, ...]
    measurements: tuple[Measurement, ...]
    comparisons: tuple[Comparison, ...]
    judges: tuple[Judged, ...] = ()
    notes: tuple[str, ...] = ()
    agreements: tuple[Agreement, ...] = ()

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
    arms: Sequence[str] = (),
    part: Part | None = "report",
) -> Summary:
    """What a run shows. Every example under every arm counts, as missing where it has no record.

    Args:
        records: of the run.
        judged: verdicts on its answers, of one judge or several.
        examples: that the run asks, by task and id; those on record unless given. They say which option of a choice is
            right, too.
        arms: of the run; those on record unless given.
        part: of the examples; settings are chosen by one part and reported of the other. None takes both.

    Raises:
        InputError: if nothing is left, or the same arm answered the same example twice.
    """
    everything = list(records)
    coverage = Coverage.of(everything, examples or {}, arms, part)
    scopes, pairs = coverage.scopes(), _pairs(coverage.arms)
    degenerate = {record.key for record in coverage.records if _is_degenerate(record)}
    measurements: list[Measurement] = []
    comparisons: list[Comparison] = []
    silent = []
    for figure in FIGURES.values():
        if figure.against_plain and BASELINE not in coverage.arms:
            continue
        for judge in judged if figure.judged else [_NOBODY]:
            if figure.judged and _is_silent(figure, judge, coverage.records):
                silent.append(f"Judge {judge.judge} says nothing that {figure.title.lower()} could be told by.")
                continue
            values = Values.of(figure, judge, coverage, degenerate)
            measurements += values.measurements(scopes)
            comparisons += values.comparisons(scopes, pairs)
    return Summary(
        part,
        coverage.arms,
        tuple(measurements),
        tuple(adjusted(comparisons)),
        tuple(judged),
        (*_notes(len(everything), coverage, judged), *silent),
        agreements(judged, coverage.records),
    )


def fail_under(summary: Summary, limits: Mapping[str, float], *, arms: Sequence[str] = ()) -> list[str]:
    """In which figures a run falls short, in words; empty where it passes.

    A figure that should be low, such as ``over_refusal``, falls short above its limit. It must hold by every judge.
    Missing examples of a share count as the worst they could be. A figure that was not measured falls short. So does
    one that is no share, such as a speed, while an example has no record: it knows no worst.

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


def _is_silent(figure: Figure, judge: Judged, records: Sequence[Record]) -> bool:
    """Whether a judge speaks of other things only; what was refused or left empty needed no judge to speak of it."""
    decoded = [record.key for record in records if record.text.strip() and not declined(record)]
    given = [judge.verdicts[key] for key in decoded if key in judge.verdicts]
    return bool(given) and not any(map(figure.told_by, given))


def _is_degenerate(record: Record) -> bool:
    return is_answer(record) and fluency.is_degenerate(record.text, fluency.perplexity_of(record.plain_logprob))


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


def _notes(given: int, coverage: Coverage, judged: Sequence[Judged]) -> Iterator[str]:
    records, absent = coverage.records, len(coverage.absent)
    if len(records) < given:
        yield f"{given - len(records)} of {given} records are of another part and not counted here."
    if absent:
        yield f"{absent} of {absent + len(records)} records are not there, and count as missing: {_FINISH}."
    if BASELINE not in coverage.arms:
        yield f"The arm {BASELINE} was not run, so nothing is compared with the model as it is."
    decoded = [record for record in records if is_answer(record) and record.output_tokens]
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
    figure, missing, asked = FIGURES[measured.figure], measured.missing, measured.count + measured.missing
    subject = f"{measured.figure} of {measured.arm}" + (f" by {measured.judge}" if measured.judge else "")
    unfinished = f"; {measured.unrecorded} of {asked} have no record: {_FINISH}" if measured.unrecorded else ""
    if measured.estimate is None:
        return f"{subject}: not measured; {missing} examples lack it{unfinished}"
    if unfinished and not figure.share:
        return f"{subject}: not measured in full; {missing} examples lack it{unfinished}"
    value, counted, higher = measured.estimate.mean, "", figure.better == "higher"
    if figure.share and missing:
        value = (value * measured.count + (0.0 if higher else 1.0) * missing) / asked
        counted = f", with {missing} missing examples as the worst they could be{unfinished}"
    if value >= limit if higher else value <= limit:
        return ""
    return f"{subject}: {value:.3f} is {'below' if higher else 'above'} {limit:g}{counted}"
