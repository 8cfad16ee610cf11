"""Laws of a classifier's thresholds: no larger share of harmless texts than stated scores as high."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard import RiskAssessment
from rose_guard.risk import corpus, multilingual_corpus
from rose_guard.risk.classifier import Classifier
from rose_guard.risk.thresholds import harmless_texts, thresholds
from rose_guard.taxonomy import ATTACKS, HAZARDS

LABELS = [*HAZARDS, *ATTACKS]


class ByNumber(Classifier):
    """Scores a text by the number that it is; each label a little lower than the one before."""

    name = "by number"

    def assess(self, messages):
        score = int(messages[0].content) / 1000
        scores = {label: score * (1 - nth / 100) for nth, label in enumerate(LABELS)}
        hazards, attacks = ({label: scores[label] for label in group} for group in (HAZARDS, ATTACKS))
        return RiskAssessment(score, hazards, attacks)


@given(st.integers(0, 200), st.integers(1, 300))
def test_at_most_that_share_of_harmless_texts_scores_as_high_for_any_label(per_mille, count):
    texts = [str(number * 999 // count) for number in range(count)]
    found = thresholds(ByNumber(), texts, per_mille / 1000)
    assert list(found) == LABELS
    scores = [ByNumber().classify(text).scores for text in texts]
    for label, threshold in found.items():
        assert sum(each[label] >= threshold for each in scores) <= per_mille * count / 1000


def test_every_label_has_the_lowest_threshold_of_its_own():
    found = thresholds(ByNumber(), [str(number) for number in range(1000)], 0.05)
    assert found[LABELS[0]] == 0.95
    assert found[LABELS[-1]] == pytest.approx(0.95 * (1 - (len(LABELS) - 1) / 100), abs=0.01)


def test_progress_is_told_up_to_the_last_text():
    told = []
    thresholds(ByNumber(), ["1"] * 150, 0.5, report=lambda *step: told.append(step))
    assert told == [(64, 150), (128, 150), (150, 150)]


@pytest.mark.parametrize("multilingual", [False, True])
def test_the_texts_are_harmless_ones_that_were_kept_back_and_attack_pairs_have_theirs_among_them(multilingual):
    examples = [*corpus.own_examples(), *multilingual_corpus.multilingual_ordinary()]
    examples += [side for pair in multilingual_corpus.multilingual_pairs() for side in pair]
    found = set(harmless_texts(multilingual=multilingual))
    chosen = [example for example in examples if example.text in found]
    assert {(e.harmful, e.split) for e in chosen} == {(False, "calibrate"), (False, "test")}
    assert "attack pairs, harmless" in {e.source for e in chosen}
    assert any("Vietnamese" in e.source for e in chosen) == multilingual
