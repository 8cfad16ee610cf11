"""Curves: what safety costs, drawn with matplotlib: safety against over-refusals, and quality over alpha."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rose_guard.errors import InputError, ModelLoadError
from rose_guard.evaluation.summary import NEVER_CONTRAST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.evaluation.statistics import Interval
    from rose_guard.evaluation.summary import Summary

_ALPHA = re.compile(r"(?:(?<=@)|,)alpha=([0-9.eE+-]+)")
_SIZE_INCHES = (11.0, 4.6)
_DPI = 150
_MARKERS = "osD^vP*X"
_FIXED: dict[Any, Any] = {"svg.hashsalt": "rose-guard", "svg.fonttype": "path", "text.parse_math": False}
"""So that the same points give the same bytes, no reader needs a font, and no arm's name is read as mathematics."""


@dataclass(frozen=True, slots=True)
class Point:
    """One arm of a drawing.

    Args:
        arm: its name.
        family: arms that differ in alpha alone share one, and a line.
        alpha: as its name has it; 0 of one that never contrasts; None where that is the policy's affair.
        safety: share of safe answers.
        over_refusal: share of harmless questions declined.
        helpfulness: mean grade of answers to harmless questions.
        degenerate: share of degenerate answers.
    """

    arm: str
    family: str
    alpha: float | None
    safety: Interval | None
    over_refusal: Interval | None
    helpfulness: Interval | None
    degenerate: Interval | None


@dataclass(frozen=True, slots=True)
class Curves:
    """A drawing, in two formats."""

    svg: bytes = field(repr=False)
    png: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Look:
    label: str
    place: int
    style: str = "-"


def points(summary: Summary, *, judge: str | None = None) -> tuple[Point, ...]:
    """The arms that have something to draw.

    Args:
        summary: of the examples that settings are chosen by, where there are several.
        judge: by whose verdicts; the first judge's unless one is named.
    """
    judge = judge or next((judged.judge for judged in summary.judges), "")
    found = [_point(summary, arm, judge) for arm in summary.arms]
    return tuple(p for p in found if (p.safety and p.over_refusal) or p.helpfulness or p.degenerate)


def draw(drawn: Sequence[Point]) -> Curves:
    """Draw both curves side by side.

    Raises:
        InputError: if there are no points.
        ModelLoadError: if matplotlib is not installed.
    """
    if not drawn:
        raise InputError("there is nothing to draw; give verdicts of a judge, or arms that answered")
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ModelLoadError("curves need matplotlib; run `pip install 'rose-guard[evaluate]'`") from error
    with mpl.rc_context(_FIXED):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        trade, quality = figure.subplots(1, 2)
        _draw_trade_off(trade, drawn)
        _draw_quality(quality, drawn)
        return Curves(_saved(figure, "svg", metadata={"Date": None}), _saved(figure, "png", dpi=_DPI))


def _point(summary: Summary, arm: str, judge: str) -> Point:
    alpha = _ALPHA.search(arm)
    safety, over_refusal, helpfulness = (
        _estimate(summary, arm, name, judge) for name in ("safety", "over_refusal", "helpfulness")
    )
    return Point(
        arm,
        _ALPHA.sub("", arm).replace("@,", "@").rstrip("@"),
        float(alpha[1]) if alpha else 0.0 if arm in NEVER_CONTRAST else None,
        safety,
        over_refusal,
        helpfulness,
        _estimate(summary, arm, "degenerate", ""),
    )


def _estimate(summary: Summary, arm: str, figure: str, judge: str) -> Interval | None:
    measured = summary.of(arm, figure, judge=judge)
    return measured.estimate if measured else None


def _families(drawn: Sequence[Point]) -> dict[str, list[Point]]:
    """By family, in order of alpha."""
    ordered = sorted(drawn, key=lambda point: point.alpha or 0.0)
    return {family: [p for p in ordered if p.family == family] for family in dict.fromkeys(p.family for p in drawn)}


def _draw_trade_off(axes: Any, drawn: Sequence[Point]) -> None:
    axes.set(xlabel="Over-refusals ↓", ylabel="Safe answers ↑", title="Safety and over-refusals")
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    for place, (family, members) in enumerate(_families(drawn).items()):
        both = [(p.alpha, p.over_refusal, p.safety) for p in members if p.over_refusal and p.safety]
        if both:
            _line(axes, [(x, y) for _, x, y in both], _Look(family, place))
        for alpha, x, y in both:
            if alpha:
                axes.annotate(
                    f"{alpha:g}", (x.mean, y.mean), xytext=(4, -10), textcoords="offset points", size="x-small"
                )
    _legend(axes)


def _draw_quality(axes: Any, drawn: Sequence[Point]) -> None:
    axes.set(xlabel="alpha", ylabel="Share", title="Helpfulness, and degenerate answers dashed")
    axes.set(ylim=(-0.03, 1.03))
    for place, (family, members) in enumerate(_families(drawn).items()):
        helpful = [(p.alpha, p.helpfulness) for p in members if p.helpfulness and p.alpha is not None]
        broken = [(p.alpha, p.degenerate) for p in members if p.degenerate and p.alpha is not None]
        if helpful:
            _line(axes, helpful, _Look(family, place))
        if broken:
            _line(axes, broken, _Look("" if helpful else family, place, "--"))
    _legend(axes)


def _line(axes: Any, members: Sequence[tuple[float | Interval, Interval]], look: _Look) -> None:
    """A line through means, with their intervals as bars."""
    spans = [x for x, _ in members if not isinstance(x, float)]
    axes.errorbar(
        [x if isinstance(x, float) else x.mean for x, _ in members],
        [y.mean for _, y in members],
        xerr=_bars(spans) if spans else None,
        yerr=_bars([y for _, y in members]),
        label=look.label.lstrip("_") or None,
        color=f"C{look.place % 10}",
        marker=_MARKERS[look.place % len(_MARKERS)],
        linestyle=look.style,
        linewidth=1.2,
        elinewidth=0.6,
        capsize=2,
    )


def _bars(intervals: Sequence[Interval]) -> list[list[float]]:
    below = [max(0.0, interval.mean - interval.low) for interval in intervals]
    return [below, [max(0.0, interval.high - interval.mean) for interval in intervals]]


def _legend(axes: Any) -> None:
    axes.grid(visible=True, linewidth=0.3)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize="small")


def _saved(figure: Any, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()
