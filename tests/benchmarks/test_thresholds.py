"""The law of the shipped thresholds: no larger share of harmless texts than stated scores as high."""

from rose_guard import RiskAssessment
from rose_guard.risk.classifier import Classifier
from rose_guard.taxonomy import ATTACKS, HAZARDS
from rose_guard_benchmarks.thresholds import thresholds


class ByNumber(Classifier):
    """Scores a text by the number that it is."""

    name = "by number"

    def assess(self, messages):
        score = int(messages[0].content) / 1000
        return RiskAssessment(score, dict.fromkeys(HAZARDS, score), dict.fromkeys(ATTACKS, 0.0))


def test_at_most_that_share_of_harmless_texts_scores_as_high():
    texts = [str(number) for number in range(1000)]
    found = thresholds(ByNumber(), texts, 0.05)
    assert found.keys() == HAZARDS.keys()
    assert all(sum(int(text) / 1000 >= threshold for text in texts) <= 50 for threshold in found.values())
