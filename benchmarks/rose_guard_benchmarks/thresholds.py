"""``python -m rose_guard_benchmarks.thresholds``: the shipped policy's thresholds, read off the whole classifier's ROC.

For each hazard, the lowest threshold at which at most so large a share of the held-out harmless texts scores as high,
every view, window and sentence included. The model card's are those of each text's first window alone.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from rose_guard.risk.corpus import own_examples
from rose_guard.risk.embedded import EmbeddedClassifier
from rose_guard.risk.metrics import threshold_at
from rose_guard.taxonomy import HAZARDS

if TYPE_CHECKING:
    from rose_guard.risk.classifier import Classifier

FALSE_ALARMS = 0.005
_TOGETHER = 64


def thresholds(classifier: Classifier, texts: list[str], rate: float = FALSE_ALARMS) -> dict[str, float]:
    """For each hazard, where at most ``rate`` of these harmless texts score as high."""
    assessments = [
        assessment
        for start in range(0, len(texts), _TOGETHER)
        for assessment in classifier.classify_many(texts[start : start + _TOGETHER])
    ]
    return {h: threshold_at(rate, np.array([a.hazards[h] for a in assessments])) for h in HAZARDS}


def main() -> None:
    """Print the thresholds, as a policy file has them."""
    rate = float(sys.argv[1]) if len(sys.argv) > 1 else FALSE_ALARMS
    harmless = [e.text for e in own_examples() if e.split != "train" and e.harmful is False]
    for hazard, threshold in thresholds(EmbeddedClassifier.shared(), harmless, rate).items():
        print(f"  {hazard}: {{threshold: {threshold:.2f}}}")  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
