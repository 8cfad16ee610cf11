"""Laws of the base class: texts, batches and event loops are other ways to ask the same."""

import pytest

from rose_guard import ClassifierError, Message, RiskAssessment, RiskClassifier
from rose_guard.risk.classifier import Classifier
from rose_guard.taxonomy import ATTACKS, HAZARDS


class ByLength(Classifier):
    """The longer, the riskier."""

    @property
    def name(self):
        return "by-length"

    def assess(self, messages):
        score = min(1.0, sum(len(message.content) for message in messages) / 100)
        return RiskAssessment(score, dict.fromkeys(HAZARDS, score), dict.fromkeys(ATTACKS, 0.0))


def test_it_follows_the_protocol():
    assert isinstance(ByLength(), RiskClassifier)


def test_a_text_is_a_users_message():
    assert ByLength().classify("hello") == ByLength().classify([Message("user", "hello")])


async def test_many_and_awaited_are_as_one_by_one():
    texts = ["a", "bb" * 9, "c" * 99]
    alone = [ByLength().classify(text) for text in texts]
    assert ByLength().classify_many(texts) == alone
    assert [await ByLength().aclassify(text) for text in texts] == alone


def test_nothing_to_score_is_an_error():
    with pytest.raises(ClassifierError, match="nothing"):
        ByLength().classify([])
