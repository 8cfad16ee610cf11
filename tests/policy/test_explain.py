"""Laws of explanations: they tell what the policy does, and what would change it."""

import dataclasses

import pytest
from hypothesis import given

from rose_guard import Policy, PolicyError
from rose_guard.policy.explain import explain
from tests.policy.random_policies import LABELS, assessment, policies, scores, tenants

POLICY = Policy.from_yaml(
    """version: 1
hazards:
  hate:
    escalate: {after: 2, within_s: 60, action: refuse, notify: true}
    bands: [{at: 0.2, action: allow}, {at: 0.4, action: steer, alpha: 0.3}, {at: 0.8, action: block}]
tenants: {clinic: {hazards: {hate: {bands: [{at: 0.9, action: refuse}]}}}}
"""
)


def row(score, policy=POLICY, **settings):
    return next(r for r in explain(policy, assessment(hate=score), **settings) if r.label == "hate")


def test_below_every_band_it_tells_how_far_the_first_is():
    low = row(0.1)
    assert (low.at, low.action, low.alpha, low.fires, low.next_at) == (None, "allow", None, False, 0.2)
    assert low.distance == pytest.approx(0.1)
    assert low.why == "below every band; 0.10 more, from 0.20 on: allow"


def test_in_a_band_it_tells_what_the_band_does_and_where_the_next_begins():
    middle = row(0.5)
    assert (middle.at, middle.action, middle.alpha, middle.fires, middle.next_at) == (0.4, "steer", 0.3, True, 0.8)
    assert middle.why == (
        "at or above 0.40: steer, alpha 0.3; 0.30 more, from 0.80 on: block; "
        "after 2 risky turns within 60 s: refuse and a human is asked for"
    )


def test_in_the_last_band_nothing_would_change_it():
    high = row(0.8)
    assert (high.action, high.alpha, high.next_at, high.distance) == ("block", None, None, None)


def test_a_band_that_allows_does_not_fire():
    assert (row(0.3).at, row(0.3).fires) == (0.2, False)
    assert "turns" not in row(0.3).why


def test_a_tenants_rules_are_explained_for_the_tenant():
    assert row(0.5, tenant="clinic").next_at == 0.9
    with pytest.raises(PolicyError, match="clinic"):
        explain(POLICY, assessment(), tenant="x")


def test_what_shadow_mode_only_watches_is_told():
    shadow = dataclasses.replace(POLICY, mode="shadow")
    assert row(0.5, shadow).why.endswith("only watched, in shadow mode")
    assert "watched" not in row(0.1, shadow).why
    weapons = next(r for r in explain(shadow, assessment(indiscriminate_weapons=1.0)) if r.locked and r.fires)
    assert "watched" not in weapons.why


@given(policies(), tenants, scores)
def test_an_explanation_agrees_with_the_decision(policy, tenant, values):
    rows = explain(policy, assessment(values), tenant=tenant)
    assert [r.label for r in rows] == LABELS
    assert tuple(r.label for r in rows if r.fires) == policy.firing(assessment(values), tenant=tenant)
    for r in rows:
        if r.next_at is not None:
            assert values[r.label] < r.next_at
            raised = explain(policy, assessment({**values, r.label: r.next_at}), tenant=tenant)
            assert next(other for other in raised if other.label == r.label).at == r.next_at
