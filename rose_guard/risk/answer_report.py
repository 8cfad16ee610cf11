"""What an answer head does on answers that it was never trained on, and the card that says so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rose_guard.risk.answer_training import WINDOW_TOKENS
from rose_guard.risk.metrics import Estimate, auroc, estimate, flagged
from rose_guard.risk.model_card import LICENCES, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rose_guard.risk.answer_corpus import AnswerExample
    from rose_guard.risk.answer_head import AnswerHead
    from rose_guard.risk.answer_training import AnswerWindows

_WANTED_FALSE_ALARMS = 0.02
_ORIGINS = {**LICENCES, "own answers": "written for this project, Apache-2.0", "latent_jailbreak_p1": "MIT"}


@dataclass(frozen=True, slots=True)
class AnswerReport:
    """What a head does.

    Args:
        threshold: the lowest, in steps of 0.01, at which no harmless source that it was not trained on is flagged more
            often than 2 %.
        auroc: by source that holds both kinds and was not trained on, the area under the ROC curve.
        found: by such a source, the share of its harmful answers at or above the threshold.
        false_alarms: by source that was not trained on, the share of its harmless answers there.
    """

    threshold: float
    auroc: dict[str, Estimate]
    found: dict[str, Estimate]
    false_alarms: dict[str, Estimate]


def measure(head: AnswerHead, examples: Sequence[AnswerExample], windows: AnswerWindows) -> AnswerReport:
    """Everything there is to say of a head; an answer scores as high as its highest window."""
    scores = windows.highest(head)
    by_source = {
        source: np.array([i for i, e in enumerate(examples) if e.source == source and e.split == "test"])
        for source in dict.fromkeys(e.source for e in examples if e.split == "test")
    }
    harmful = np.array([e.harmful for e in examples])
    harmless = {source: scores[rows[~harmful[rows]]] for source, rows in by_source.items()}
    unmixed = [harmless[source] for source, rows in by_source.items() if not harmful[rows].any()]
    threshold = _threshold(unmixed or list(harmless.values()))
    both = {source: rows for source, rows in by_source.items() if 0 < harmful[rows].sum() < len(rows)}
    share = flagged(threshold)
    return AnswerReport(
        threshold,
        {source: estimate(auroc, scores[rows], harmful[rows]) for source, rows in both.items()},
        {source: _share(threshold, scores[rows[harmful[rows]]]) for source, rows in both.items()},
        {source: estimate(share, alarms, np.zeros(len(alarms), bool)) for source, alarms in harmless.items()},
    )


def answer_card(head: AnswerHead, examples: Sequence[AnswerExample], report: AnswerReport) -> str:
    """The card as Markdown."""
    counts = Counter((e.source, e.split) for e in examples)
    sources = dict.fromkeys(e.source for e in examples)
    return "\n".join(
        [
            f"# Answer classifier {head.version}",
            "",
            "One linear map over the risk classifier's encoder: whether showing a part of an answer would do harm. It",
            f"reads English, {WINDOW_TOKENS} tokens at a time. The encoder is {head.encoder}.",
            "Written by `rose-guard train-answer-classifier`; the same answers give the same bytes on one machine.",
            "",
            "## Answers",
            "",
            *table(
                ("source", "trained on", "measured on", "origin and licence"),
                (
                    (s, str(counts[s, "train"]), str(counts[s, "test"]), _ORIGINS.get(s, "given for this run"))
                    for s in sources
                ),
            ),
            "",
            "## What it does",
            "",
            "On answers that it was never trained on, with 95 % bootstrap intervals. The threshold is the lowest at",
            "which no set of reference answers, which are all harmless, is flagged more often than 2 %:",
            f"**{report.threshold:.2f}**.",
            "",
            *table(
                ("source", "AUROC", "harmful found", "harmless flagged"),
                (
                    (
                        source,
                        str(report.auroc.get(source, "")),
                        str(report.found.get(source, "")),
                        str(alarms),
                    )
                    for source, alarms in report.false_alarms.items()
                ),
            ),
            "",
            "## Limits",
            "",
            "- It reads what is said, not what was asked: a harmless recipe and a harmful one may read alike.",
            "- It finds answers that announce, encourage or demean better than those that quietly explain.",
            "- English only.",
            "",
        ]
    )


def _threshold(harmless: Sequence[NDArray[np.float64]]) -> float:
    candidates = (percent / 100 for percent in range(5, 100))
    return next(
        (t for t in candidates if all((scores >= t).mean() <= _WANTED_FALSE_ALARMS for scores in harmless)), 1.0
    )


def _share(threshold: float, scores: NDArray[np.float64]) -> Estimate:
    return estimate(flagged(threshold), scores, np.ones(len(scores), bool))
