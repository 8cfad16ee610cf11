"""Laws of deciding that hold for every policy, every tenant and every assessment."""

import dataclasses
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from rose_guard.policy.decision import strictness
from rose_guard.policy.diff import differences
from rose_guard.policy.policy import Policy
from tests.policy.random_policies import (
    LABELS,
    alphas,
    assessment,
    is_weaker,
    only_locked,
    policies,
    probabilities,
    risky_turns,
    rules,
    same,
    scores,
    tenants,
)


@given(policies(), tenants, scores, risky_turns, st.tuples(st.sampled_from(LABELS), probabilities))
def test_raising_a_score_never_weakens_the_action_the_alpha_or_the_horizon(policy, tenant, values, turns, raise_):
    label, raised = raise_
    before = policy.decide(assessment(values), "d", tenant=tenant, risky_turns=turns)
    higher = {**values, label: max(values[label], raised)}
    after = policy.decide(assessment(higher), "d", tenant=tenant, risky_turns=turns)
    assert not is_weaker(after, before)


@given(policies(), scores, st.randoms())
def test_the_order_in_which_anything_is_listed_does_not_matter(policy, values, random):
    def shuffled(mapping):
        items = list(mapping.items())
        random.shuffle(items)
        return dict(items)

    listed = dataclasses.replace(
        policy,
        rules=shuffled(policy.rules),
        tenants=shuffled({name: shuffled(rules) for name, rules in policy.tenants.items()}),
        safe_prompts=shuffled(policy.safe_prompts),
    )
    scored = assessment(values)
    other = dataclasses.replace(scored, hazards=shuffled(scored.hazards), attacks=shuffled(scored.attacks))
    assert same(listed.decide(other, "d", tenant="clinic"), policy.decide(scored, "d", tenant="clinic"))
    assert listed.digest == policy.digest
    assert differences(listed, policy) == ()


@given(policies(), tenants, scores, risky_turns, st.tuples(st.sampled_from(LABELS), st.integers(0, 9)))
def test_more_risky_turns_never_weaken_anything(policy, tenant, values, turns, more):
    label, count = more
    scored = assessment(values)
    fewer = policy.decide(scored, "d", tenant=tenant, risky_turns=turns)
    known = turns or {}
    after = policy.decide(scored, "d", tenant=tenant, risky_turns={**known, label: known.get(label, 0) + count})
    assert not is_weaker(after, fewer)
    assert set(after.escalated) >= set(fewer.escalated)
    assert set(after.notify) >= set(fewer.notify)


@given(policies(), tenants, scores, risky_turns)
def test_the_contrast_has_one_or_two_branches_within_the_ceiling_or_none(policy, tenant, values, turns):
    decision = policy.decide(assessment(values), "d", tenant=tenant, risky_turns=turns)
    steers = decision.action == "steer"
    assert len(decision.branches) in ((1, 2) if steers else (0,))
    assert all(alpha > 0 for _, alpha in decision.branches)
    assert decision.alpha <= policy.max_total_alpha < 1
    assert len({prompt for prompt, _ in decision.branches}) == len(decision.branches)
    assert (decision.safe_prompt is not None) == steers
    assert (decision.message is not None) == (decision.action == "refuse")


@given(policies(), tenants, scores, risky_turns)
def test_the_action_is_the_strictest_of_the_rules_and_the_alpha_the_largest(policy, tenant, values, turns):
    """Recomputed from the rules one by one."""
    decision = policy.decide(assessment(values), "d", tenant=tenant, risky_turns=turns)
    own = policy.rules if tenant is None else {**policy.rules, **policy.tenants[tenant]}
    acting = []
    for label, score in values.items():
        reached = [band for band in own[label].bands if score >= band.at]
        if not reached or reached[-1].action == "allow":
            continue
        action, escalate = reached[-1].action, own[label].escalate
        if escalate and (turns or {}).get(label, -1) >= escalate.after:
            action = max(action, escalate.action or "allow", key=strictness)
        acting.append((action, reached[-1].alpha))
    expected = max((action for action, _ in acting), key=strictness, default="allow")
    assert decision.action == expected
    if expected == "steer":
        assert decision.alpha == min(max(alpha for _, alpha in acting), policy.max_total_alpha)


@given(policies(), st.sampled_from(["clinic", "school"]), scores, risky_turns)
def test_a_tenant_never_gets_less_than_the_policys_own_locked_rules_give(policy, tenant, values, turns):
    policy = dataclasses.replace(policy, rules=only_locked(policy.rules))
    base = policy.decide(assessment(values), "d", risky_turns=turns)
    decision = policy.decide(assessment(values), "d", tenant=tenant, risky_turns=turns)
    assert not is_weaker(decision, base)
    assert set(decision.notify) >= set(base.notify)


@given(policies(), tenants, scores, risky_turns)
def test_shadow_mode_never_suspends_a_locked_rule_and_tells_what_the_whole_policy_does(policy, tenant, values, turns):
    scored = assessment(values)
    whole = policy.decide(scored, "d", tenant=tenant, risky_turns=turns)
    shadowed = dataclasses.replace(policy, mode="shadow")
    decision = shadowed.decide(scored, "d", tenant=tenant, risky_turns=turns)
    assert same(decision.shadow, whole)
    assert decision.mode == "shadow"

    silenced = dataclasses.replace(policy, rules=only_locked(policy.rulebook(tenant).rules), tenants={})
    locked = silenced.decide(scored, "d", risky_turns=turns)
    assert (decision.action, decision.hazards, decision.attacks) == (locked.action, locked.hazards, locked.attacks)
    assert (decision.branches, decision.horizon, decision.message) == (locked.branches, locked.horizon, locked.message)
    assert (decision.escalated, decision.notify) == (locked.escalated, locked.notify)


@given(policies(), tenants, scores)
def test_firing_names_the_rules_that_decide_and_escalations_those_that_count(policy, tenant, values):
    firing = policy.firing(assessment(values), tenant=tenant)
    decision = policy.decide(assessment(values), "d", tenant=tenant)
    assert list(firing) == [label for label in LABELS if label in firing]
    assert set(decision.hazards + decision.attacks) <= set(firing)
    assert (decision.action == "allow") == (not firing)
    assert (decision.severity is None) == (not firing)
    own = policy.rulebook(tenant).rules
    assert policy.escalations(firing, tenant=tenant) == {
        label: own[label].escalate for label in firing if own[label].escalate
    }


@given(policies(), st.sampled_from(LABELS), rules(locked=False), alphas)
@settings(max_examples=60)
def test_the_digest_changes_exactly_where_the_meaning_does(policy, label, rule, alpha):
    if not policy.rules[label].locked:
        changed = dataclasses.replace(policy, rules={**policy.rules, label: rule}, tenants={})
        bare = dataclasses.replace(policy, tenants={})
        assert (changed.digest == bare.digest) == (changed == bare) == (not differences(bare, changed))
    other = dataclasses.replace(policy, max_total_alpha=alpha)
    assert (other.digest == policy.digest) == (alpha == policy.max_total_alpha)


@given(st.floats(), st.integers(1, 10**30))
def test_whatever_cannot_be_counted_escalates(turns, after_all):
    policy = Policy.from_yaml(
        "version: 1\nhazards: {hate: {threshold: 0.5, escalate: {after: 3, within_s: 60, action: refuse}}}"
    )
    for counted in (turns, after_all):
        decision = policy.decide(assessment(hate=1.0), "d", risky_turns={"hate": counted})
        assert decision.action == ("steer" if counted < 3 and not math.isnan(counted) else "refuse")
