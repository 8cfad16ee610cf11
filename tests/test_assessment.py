"""Laws of RiskAssessment: what was not scored never passes for harmless."""

import math
import pickle

import pytest

from rose_guard import ClassifierError, RiskAssessment
from rose_guard.taxonomy import ATTACKS, HAZARDS

NO_HAZARDS, NO_ATTACKS = dict.fromkeys(HAZARDS, 0.0), dict.fromkeys(ATTACKS, 0.0)


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.1, 1.1])
@pytest.mark.parametrize("where", ["harmful", "hate", "jailbreak"])
def test_a_score_that_is_no_probability_is_an_error(where, score):
    with pytest.raises(ClassifierError, match=where):
        RiskAssessment(
            harmful=score if where == "harmful" else 0.0,
            hazards=NO_HAZARDS | ({where: score} if where in HAZARDS else {}),
            attacks=NO_ATTACKS | ({where: score} if where in ATTACKS else {}),
        )


def test_a_missing_label_is_an_error():
    with pytest.raises(ClassifierError, match="hate"):
        RiskAssessment(0.0, {h: 0.0 for h in HAZARDS if h != "hate"}, NO_ATTACKS)


def test_an_unknown_label_is_an_error():
    with pytest.raises(ClassifierError, match="haste"):
        RiskAssessment(0.0, NO_HAZARDS | {"haste": 0.0}, NO_ATTACKS)


def test_scores_cannot_be_changed_afterwards():
    hazards = dict(NO_HAZARDS)
    assessment = RiskAssessment(0.0, hazards, NO_ATTACKS)
    hazards["hate"] = 1.0
    assert assessment.hazards["hate"] == 0.0
    with pytest.raises(TypeError):
        assessment.hazards["hate"] = 1.0


def test_an_assessment_survives_pickling():
    assessment = RiskAssessment(0.0, NO_HAZARDS, NO_ATTACKS, classifier="x")
    assert pickle.loads(pickle.dumps(assessment)) == assessment


def test_scores_come_in_taxonomy_order():
    assessment = RiskAssessment(0.0, dict(reversed(NO_HAZARDS.items())), NO_ATTACKS)
    assert list(assessment.scores) == [*HAZARDS, *ATTACKS]
