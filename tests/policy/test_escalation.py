"""Laws of escalation: repeated risky turns only ever add, and only to rules that fire."""

import math

import pytest

from rose_guard import Policy, PolicyError
from rose_guard.policy import Escalation
from tests.policy.random_policies import assessment

POLICY = Policy.from_yaml(
    """version: 1
hazards:
  hate: {threshold: 0.5, alpha: 0.4, message: crisis, severity: low, escalate: {after: 2, within_s: 60, action: refuse}}
  privacy: {threshold: 0.5, action: refuse, escalate: {after: 1, within_s: 60, notify: true}}
  elections: {threshold: 0.5, action: block, escalate: {after: 1, within_s: 60, action: refuse, notify: true}}
  defamation: {threshold: 0.5, action: allow, escalate: {after: 1, within_s: 60, action: block, notify: true}}
"""
)


def decide(turns, **scores):
    return POLICY.decide(assessment(**scores), "d", risky_turns=turns)


def test_it_is_due_from_its_count_of_earlier_turns_on():
    assert [decide({"hate": n}, hate=1.0).action for n in range(4)] == ["steer", "steer", "refuse", "refuse"]


def test_a_due_escalation_replaces_the_action_and_keeps_the_rest_of_the_band():
    decision = decide({"hate": 2}, hate=1.0)
    assert (decision.action, decision.message, decision.branches) == ("refuse", "crisis", ())
    assert (decision.escalated, decision.notify, decision.hazards) == (("hate",), (), ("hate",))
    assert decision.reason == "hate scored 1.00, at or above 0.50: steer; after 2 or more risky turns: refuse"


def test_a_rule_that_does_not_fire_now_never_escalates():
    assert decide({"hate": 99}).action == "allow"
    assert decide({"hate": 99, "privacy": 99}, elections=1.0).notify == ()
    allowed = decide({"defamation": 99}, defamation=1.0)
    assert (allowed.action, allowed.escalated, allowed.notify, allowed.severity) == ("allow", (), (), None)


def test_an_escalation_never_makes_an_action_milder():
    decision = decide({"elections": 5}, elections=1.0)
    assert (decision.action, decision.escalated, decision.notify) == ("block", (), ("elections",))


def test_a_call_for_a_human_is_made_whatever_rule_decides():
    decision = decide({"privacy": 1, "hate": 2}, privacy=1.0, hate=1.0, elections=1.0)
    assert (decision.action, decision.hazards) == ("block", ("elections",))
    assert (decision.escalated, decision.notify) == (("hate",), ("privacy",))


def test_one_rule_that_escalates_decides_over_others_that_steer():
    decision = decide({"hate": 2}, hate=0.6, misinformation=1.0)
    assert (decision.action, decision.hazards, decision.message) == ("refuse", ("hate",), "crisis")


@pytest.mark.parametrize("turns", [None, {}, {"privacy": 9}, {"hate": None}])
def test_where_nobody_counts_the_bands_alone_decide(turns):
    assert decide(turns, hate=1.0).action == "steer"


@pytest.mark.parametrize("turns", [math.inf, 10**30, math.nan])
def test_what_could_not_be_counted_escalates(turns):
    assert decide({"hate": turns}, hate=1.0).action == "refuse"


def test_the_severity_told_is_the_highest_of_all_that_fire():
    assert decide(None, hate=1.0).severity == "low"
    assert decide(None, hate=1.0, misinformation=1.0).severity == "medium"
    refused = decide(None, privacy=1.0, sex_crimes=1.0)
    assert (refused.action, refused.hazards, refused.severity) == ("refuse", ("privacy",), "high")


def test_firing_and_escalations_say_what_to_count():
    firing = POLICY.firing(assessment(hate=1.0, defamation=1.0, jailbreak=1.0, sex_crimes=1.0))
    assert firing == ("sex_crimes", "hate", "jailbreak")
    assert POLICY.escalations(firing) == {
        "hate": Escalation(2, 60.0, "refuse"),
        "jailbreak": Escalation(3, 600.0, "refuse"),
    }


def test_a_listed_rule_takes_no_escalation_from_the_shipped_policy():
    assert Policy.from_yaml("version: 1\nattacks: {jailbreak: {}}").rules["jailbreak"].escalate is None


def test_the_shipped_policy_calls_a_human_for_despair_and_refuses_whoever_keeps_trying():
    shipped = Policy.default()
    mild = shipped.rules["suicide_self_harm"].bands[0].at
    despair = shipped.decide(assessment(suicide_self_harm=mild), "d", risky_turns={"suicide_self_harm": 2})
    assert (despair.action, despair.notify) == ("steer", ("suicide_self_harm",))
    trying = shipped.decide(assessment(jailbreak=1.0), "d", risky_turns={"jailbreak": 3})
    assert (trying.action, trying.escalated) == ("refuse", ("jailbreak",))


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ((0, 60.0, "refuse"), "after"),
        ((True, 60.0, "refuse"), "after"),
        ((1.5, 60.0, "refuse"), "after"),
        ((10**9, 60.0, "refuse"), "after"),
        ((1, 0.0, "refuse"), "within_s"),
        ((1, math.nan, "refuse"), "within_s"),
        ((1, math.inf, "refuse"), "within_s"),
        ((1, "60", "refuse"), "within_s"),
        ((1, 60.0, "steer"), "action"),
        ((1, 60.0, "allow"), "action"),
        ((1, 60.0), "action"),
        ((1, 60.0, "refuse", "yes"), "notify"),
    ],
)
def test_an_escalation_out_of_range_cannot_be_made(values, key):
    with pytest.raises(PolicyError, match=rf"escalate\.{key}"):
        Escalation(*values)
