"""LanguageReport: how well harmful and harmless prompts of each language are told apart, never trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from rose_guard.risk.metrics import Estimate, auroc, estimate
from rose_guard.risk.multilingual_corpus import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rose_guard.risk.corpus import Example
    from rose_guard.risk.head import Head

FALSE_ALARMS = 0.05
HEADS = ("language", "pairs", "AUROC", "found at 5 % of partners", "found", "of partners", "of ordinary prompts")


@dataclass(frozen=True, slots=True)
class LanguageReport:
    """What a head does in one language.

    Args:
        language: its English name.
        pairs: how many held-out pairs.
        auroc: harmful sides against their harmless partners.
        found_apart: share of harmful sides above the threshold that flags :data:`FALSE_ALARMS` of the partners.
        found: share of harmful sides at or above the English threshold.
        partners: share of their harmless partners at or above it.
        ordinary: share of ordinary prompts at or above it.
    """

    language: str
    pairs: int
    auroc: Estimate
    found_apart: float
    found: float
    partners: float
    ordinary: float

    def row(self) -> tuple[str, ...]:
        """In words, as :data:`HEADS` heads them."""
        shares = (f"{share:.2f}" for share in (self.found_apart, self.found, self.partners, self.ordinary))
        return (self.language, str(self.pairs), str(self.auroc), *shares)


@dataclass(frozen=True, slots=True)
class Languages:
    """What a head does in several languages.

    Args:
        threshold: where :data:`FALSE_ALARMS` of the ordinary English prompts that were kept back score as high; no text
            in another language sets it.
        reports: one for each.
    """

    threshold: float
    reports: tuple[LanguageReport, ...]


def english_threshold(examples: Sequence[Example], scores: NDArray[np.float64]) -> float:
    """The threshold that :class:`Languages` has."""
    kept = [i for i, e in enumerate(examples) if e.source == "ordinary prompts" and e.split != "train"]
    return float(np.quantile(scores[kept], 1 - FALSE_ALARMS))


def by_language(head: Head, examples: Sequence[Example], embeddings: NDArray[np.float32]) -> Languages:
    """What a head does in each language.

    Args:
        head: what was trained.
        examples: the project's, in English and other languages.
        embeddings: one row for each example.
    """
    scores = head.scores(torch.from_numpy(embeddings))["harmful"].double().numpy()
    threshold = english_threshold(examples, scores)
    reports = (_report(language, examples, scores, threshold) for language in LANGUAGES.values())
    return Languages(threshold, tuple(reports))


def _report(
    language: str, examples: Sequence[Example], scores: NDArray[np.float64], threshold: float
) -> LanguageReport:
    def of(source: str) -> NDArray[np.float64]:
        return scores[[i for i, example in enumerate(examples) if example.source == source]]

    harmful = of(f"contrast pairs, {language}, harmful")
    partners = of(f"contrast pairs, {language}, harmless")
    ordinary = of(f"ordinary prompts, {language}")
    return LanguageReport(
        language,
        len(harmful),
        estimate(auroc, np.concatenate([harmful, partners]), np.arange(len(harmful) + len(partners)) < len(harmful)),
        float((harmful > np.quantile(partners, 1 - FALSE_ALARMS)).mean()),
        *(float((group >= threshold).mean()) for group in (harmful, partners, ordinary)),
    )
