"""Document: a summary as JSON, for programs. Holds no answer and no question."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rose_guard.evaluation.figures import FIGURES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.evaluation.summary import Summary

VERSION = 1


def to_document(summary: Summary, *, about: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The report as plain values.

    Args:
        summary: of the run.
        about: what else identifies the run, such as the model; no prompts.
    """
    return {
        "version": VERSION,
        "about": dict(about or {}),
        "part": summary.part or "all",
        "arms": list(summary.arms),
        "figures": {
            figure.name: {
                "title": figure.title,
                "meaning": figure.meaning,
                "better": figure.better,
                "judged": figure.judged,
            }
            for figure in FIGURES.values()
        },
        "judges": [
            {"judge": j.judge, "threshold": j.threshold, "accuracy": [asdict(a) for a in j.accuracy]}
            for j in summary.judges
        ],
        "agreements": [asdict(agreement) for agreement in summary.agreements],
        "measurements": [asdict(measured) for measured in summary.measurements],
        "comparisons": [asdict(comparison) for comparison in summary.comparisons],
        "notes": list(summary.notes),
    }


def to_json(summary: Summary, *, about: Mapping[str, str] | None = None) -> str:
    """The same as text."""
    return json.dumps(to_document(summary, about=about), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
