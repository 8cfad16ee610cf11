"""Tables: a summary as rows of text, the same ones for Markdown and for the page. Knows nothing of either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rose_guard.evaluation.figures import FIGURES
from rose_guard.evaluation.measurement import SCOPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rose_guard.evaluation.agreement import Agreement
    from rose_guard.evaluation.figure import Figure
    from rose_guard.evaluation.judged import Accuracy, Judged
    from rose_guard.evaluation.measurement import Comparison, Measurement, Scope
    from rose_guard.evaluation.statistics import Interval
    from rose_guard.evaluation.summary import Summary

FEW = 30
"""Below so many examples an interval tells little, the bootstrap's least of all; such cells say so."""
_NONE = "–"
_ARROWS = {"higher": "↑", "lower": "↓"}
_SMALLEST_P = 0.001


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Args:
        title: what it shows.
        remarks: what must be read beside it.
        header: of its columns.
        rows: of as many cells.
    """

    title: str
    remarks: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Everything about one scope."""

    title: str
    scope: Scope
    tables: tuple[Table, ...]


def sections(summary: Summary) -> tuple[Section, ...]:
    """Tables for all examples, each task, kind and hazard; beside what a judge says, how often that judge is right."""
    scopes = dict.fromkeys(measured.scope for measured in summary.measurements)
    ordered = [scope for kind in SCOPES for scope in sorted(scopes, key=str) if scope.kind == kind]
    return tuple(Section(_scope_title(scope), scope, tuple(_tables(summary, scope))) for scope in ordered)


def closing_tables(summary: Summary) -> tuple[Table, ...]:
    """Tables about the report as a whole: its judges, how far they agree, and what is counted."""
    tables = judges_table(summary.judges), agreement_table(summary.agreements), figures_table()
    return tuple(table for table in tables if table.rows)


def judges_table(judges: Sequence[Judged]) -> Table:
    """How often each judge is right, where that was measured."""
    rows = [row for judged in judges for row in _judge_rows(judged)]
    remarks = ("Against labels that people gave. A judge's mistakes are in every figure that rests on it.",)
    header = ("Judge", "Threshold", "Labelled answers", "Of", "Number", "Right", "Kappa", "Found", "False alarms")
    return Table("Judges", remarks, header, tuple(rows))


def agreement_table(agreements: Sequence[Agreement]) -> Table:
    """How far every two judges say the same; people who labelled answers are one of them."""
    rows = [
        (a.judge, a.other, a.question, _counted(a.count), told(a.agreed), told(a.kappa))
        for a in sorted(agreements, key=lambda each: each.question)
    ]
    remarks = (
        "On the answers of which both say it; one that several arms gave counts once.",
        "Kappa is Cohen's: 1 where they always agree, 0 where they do as often as by chance.",
    )
    header = ("Judge", "Other judge", "Of", "Answers", "Agreed", "Kappa")
    return Table("Agreement between judges", remarks, header, tuple(rows))


def figures_table() -> Table:
    """What each figure counts."""
    rows = [(_column(figure), figure.meaning) for figure in FIGURES.values()]
    return Table("What is counted", ("Fixed before anything was run.",), ("Figure", "Meaning"), tuple(rows))


def told(interval: Interval | None) -> str:
    """An interval in words; a dash where there is none."""
    return _NONE if interval is None else str(interval)


def told_p(p: float | None) -> str:
    """A p-value in words."""
    if p is None:
        return _NONE
    return f"<{_SMALLEST_P}" if p < _SMALLEST_P else f"{p:.3f}"


def _scope_title(scope: Scope) -> str:
    return "All examples" if scope.kind == "all" else f"{scope.kind.capitalize()}: {scope.name}"


def _tables(summary: Summary, scope: Scope) -> Iterator[Table]:
    measured = [m for m in summary.measurements if m.scope == scope]
    compared = [c for c in summary.comparisons if c.scope == scope]
    judges = {judged.judge: judged for judged in summary.judges}
    for judge in dict.fromkeys(m.judge for m in measured):
        by = f" by judge {judge}" if judge else ", without a judge"
        remarks = tuple(_reliability(judges[judge])) if judge else ()
        yield _arms_table(f"Figures{by}", remarks, [m for m in measured if m.judge == judge])
        if pairs := [c for c in compared if c.judge == judge]:
            yield _pairs_table(f"Differences{by}", remarks, pairs)


def _arms_table(title: str, remarks: tuple[str, ...], measured: Sequence[Measurement]) -> Table:
    figures = [FIGURES[name] for name in dict.fromkeys(m.figure for m in measured)]
    cells = {(m.arm, m.figure): _cell(m) for m in measured}
    arms = dict.fromkeys(m.arm for m in measured)
    rows = [(arm, *(cells.get((arm, figure.name), _NONE) for figure in figures)) for arm in arms]
    return Table(title, remarks, ("Arm", *map(_column, figures)), tuple(rows))


def _pairs_table(title: str, remarks: tuple[str, ...], compared: Sequence[Comparison]) -> Table:
    header = ("Figure", "Arm", "Against", "Difference", "p", "p adjusted", "Pairs", "Missing")
    rows = [
        (
            _column(FIGURES[c.figure]),
            c.arm,
            c.against,
            told(c.difference),
            told_p(c.p),
            told_p(c.adjusted),
            _counted(c.pairs),
            str(c.missing),
        )
        for c in compared
    ]
    return Table(title, remarks, header, tuple(rows))


def _column(figure: Figure) -> str:
    return f"{figure.title} {_ARROWS[figure.better]}"


def _cell(measured: Measurement) -> str:
    missing = f", {measured.missing} missing" if measured.missing else ""
    return f"{told(measured.estimate)}, n {_counted(measured.count)}{missing}"


def _counted(count: int) -> str:
    return f"{count} (few)" if 0 < count < FEW else str(count)


def _reliability(judged: Judged) -> Iterator[str]:
    if not judged.accuracy:
        yield f"How often judge {judged.judge} is right was not measured."
    for accuracy in judged.accuracy:
        yield f"Judge {judged.judge} on {accuracy.question}: right on {_rightness(accuracy)}."


def _rightness(accuracy: Accuracy) -> str:
    return f"{accuracy.agreement} of {accuracy.count} labelled answers of {accuracy.source}, kappa {accuracy.kappa}"


def _judge_rows(judged: Judged) -> Iterator[tuple[str, ...]]:
    name = judged.judge, f"{judged.threshold:g}"
    if not judged.accuracy:
        yield (*name, "not measured", *[_NONE] * 6)
    for accuracy in judged.accuracy:
        yield (
            *name,
            accuracy.source,
            accuracy.question,
            _counted(accuracy.count),
            told(accuracy.agreement),
            told(accuracy.kappa),
            told(accuracy.found),
            told(accuracy.false_alarms),
        )
