"""Thresholds: where a whole classifier's rules may begin, read off what it scores harmless texts that it never saw.

Every view, window and sentence counts. A model card's thresholds are those of each text's first window alone, which
scores lower.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from rose_guard.risk.corpus import own_examples
from rose_guard.risk.metrics import threshold_at
from rose_guard.risk.multilingual_corpus import multilingual_ordinary, multilingual_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rose_guard.assessment import RiskAssessment
    from rose_guard.risk.classifier import Classifier

_TOGETHER = 64


def harmless_texts(*, multilingual: bool = False) -> list[str]:
    """The project's harmless texts that were kept back from training, attack pairs' harmless sides among them.

    Args:
        multilingual: whether those in other languages than English are wanted too.
    """
    examples = list(own_examples())
    if multilingual:
        examples += [*chain.from_iterable(multilingual_pairs()), *multilingual_ordinary()]
    return [example.text for example in examples if example.split != "train" and example.harmful is False]


def thresholds(
    classifier: Classifier,
    texts: Sequence[str],
    rate: float,
    *,
    report: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, float]:
    """For each hazard and attack, the lowest threshold at which at most ``rate`` of harmless texts score as high.

    Args:
        classifier: whose thresholds.
        texts: harmless ones that it was not trained on.
        rate: the share.
        report: called with how many texts were scored, and of how many.

    Returns:
        One for each label, in steps of 0.01; 1 where none is high enough.

    Raises:
        ClassifierError: if a text could not be scored.
    """
    assessments: list[RiskAssessment] = []
    for start in range(0, len(texts), _TOGETHER):
        assessments += classifier.classify_many(texts[start : start + _TOGETHER])
        report(len(assessments), len(texts))
    scores = [assessment.scores for assessment in assessments]
    return {label: threshold_at(rate, np.array([each[label] for each in scores])) for label in scores[0]}
