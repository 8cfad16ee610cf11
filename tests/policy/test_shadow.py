"""Laws of shadow mode: the whole policy decides, only its locks act."""

import pytest

from rose_guard import Policy
from tests.policy.random_policies import assessment

SHADOW = Policy.from_yaml(
    """version: 1
mode: shadow
hazards:
  privacy: {threshold: 0.5, alpha: 0.4, locked: true, reverse_prompt: privacy, escalate: {after: 1, within_s: 9, action: refuse, notify: true}}
  hate: {threshold: 0.5, alpha: 0.6, severity: critical, escalate: {after: 1, within_s: 9, action: block, notify: true}}
tenants: {clinic: {hazards: {hate: {action: allow}, privacy: {action: block}}}}
"""
)


def test_what_nobody_locked_is_only_watched():
    decision = SHADOW.decide(assessment(hate=1.0), "d")
    assert (decision.action, decision.mode, decision.severity, decision.hazards) == ("allow", "shadow", None, ())
    assert (decision.shadow.action, decision.shadow.severity) == ("steer", "critical")
    assert "shadow mode" in decision.reason
    assert decision.assessment is not None


def test_what_is_locked_acts_as_if_it_were_alone():
    decision = SHADOW.decide(assessment(hate=1.0, privacy=1.0), "d")
    assert (decision.action, decision.branches) == ("steer", (("privacy", 0.4),))
    assert [prompt for prompt, _ in decision.shadow.branches] == ["generic", "privacy"]
    assert SHADOW.decide(assessment(indiscriminate_weapons=1.0), "d").action == "refuse"


def test_escalations_of_locked_rules_act_and_those_of_others_are_only_watched():
    turns = {"hate": 9, "privacy": 9}
    decision = SHADOW.decide(assessment(hate=1.0, privacy=1.0), "d", risky_turns=turns)
    assert (decision.action, decision.escalated, decision.notify) == ("refuse", ("privacy",), ("privacy",))
    assert (decision.shadow.action, decision.shadow.notify) == ("block", ("privacy", "hate"))


def test_risky_turns_are_counted_for_every_rule():
    assert SHADOW.firing(assessment(hate=1.0)) == ("hate",)


def test_a_decision_and_its_shadow_are_one_event():
    decision = SHADOW.decide(assessment(hate=1.0), "d")
    assert decision.decision_id == decision.shadow.decision_id
    assert decision.policy_digest == decision.shadow.policy_digest == SHADOW.digest
    assert (decision.shadow.mode, decision.shadow.shadow) == ("enforce", None)


def test_a_tenants_rules_are_watched_and_its_locks_act():
    decision = SHADOW.decide(assessment(hate=1.0, privacy=1.0), "d", tenant="clinic")
    assert (decision.action, decision.shadow.action, decision.shadow.tenant) == ("block", "block", "clinic")
    assert SHADOW.decide(assessment(hate=1.0), "d", tenant="clinic").shadow.action == "allow"


@pytest.mark.parametrize("on_error", ["refuse", "block"])
def test_what_could_not_be_scored_is_never_let_through(on_error):
    policy = Policy.from_yaml(f"version: 1\nmode: shadow\nclassifier: {{on_error: {on_error}}}")
    for decision in (policy.decide_unscored("boom", "d"), policy.decide(None, "d")):
        assert (decision.action, decision.mode, decision.shadow.action) == (on_error, "shadow", on_error)


def test_shadow_is_none_exactly_when_enforcing():
    assert Policy.default().decide(assessment(hate=1.0), "d").shadow is None
    assert Policy.default().decide_unscored("boom", "d").shadow is None
    assert SHADOW.decide(assessment(), "d").shadow is not None
