"""Laws of tenants: an entry lists what differs, and nobody weakens what is locked."""

import dataclasses

import pytest
from hypothesis import given

from rose_guard import Policy, PolicyError
from rose_guard.policy import Escalation
from tests.policy.random_policies import assessment, policies, rules, scores

BASE = """version: 1
defaults: {alpha: 0.3}
hazards:
  privacy: {threshold: 0.4, alpha: 0.6, horizon: 9, safe_prompt: privacy, reverse_prompt: privacy, severity: high}
  defamation:
    safe_prompt: defamation
    bands: [{at: 0.3, action: steer, alpha: 0.2}, {at: 0.6, action: steer, alpha: 0.5, reverse_prompt: hate}]
  elections: {threshold: 0.5, alpha: 0.5, horizon: 20, locked: true, escalate: {after: 3, within_s: 60, action: refuse, notify: true}}
  hate: {threshold: 0.5, action: refuse, locked: true}
"""


def with_tenant(entry):
    return Policy.from_yaml(f"{BASE}tenants:\n  clinic: {{hazards: {entry}}}\n", name="p.yaml")


def problems(entry):
    with pytest.raises(PolicyError) as caught:
        with_tenant(entry)
    return caught.value.problems


def rule(entry, label):
    return with_tenant(entry).tenants["clinic"][label]


def test_what_an_entry_leaves_out_comes_from_the_policys_own_rule_not_from_defaults():
    own = with_tenant("{}").rules["privacy"]
    changed = rule("{privacy: {threshold: 0.7}}", "privacy")
    assert changed == dataclasses.replace(own, bands=(dataclasses.replace(own.bands[0], at=0.7),))
    allowed = rule("{privacy: {action: allow}}", "privacy").bands[0]
    assert (allowed.at, allowed.action, allowed.alpha, allowed.reverse_prompt) == (0.4, "allow", 0.6, "privacy")


def test_what_the_policy_does_not_list_is_the_shipped_rule_to_differ_from():
    changed = with_tenant("{violent_crimes: {alpha: 0.6}}").tenants["clinic"]["violent_crimes"].bands[0]
    shipped = Policy.default().rules["violent_crimes"].bands[0]
    assert changed == dataclasses.replace(shipped, alpha=0.6)


def test_threshold_or_action_alone_need_a_single_band():
    for key in ("threshold: 0.5", "action: allow"):
        (problem,) = problems(f"{{defamation: {{{key}}}}}")
        assert problem == (
            "p.yaml:11:35: the policy's own rule for defamation has 2 bands; give `bands` instead, to say what each does"
        )


def test_any_other_key_holds_for_all_bands():
    bands = rule("{defamation: {alpha: 0.6, message: crisis}}", "defamation").bands
    assert [(b.at, b.alpha, b.message, b.reverse_prompt) for b in bands] == [
        (0.3, 0.6, "crisis", "generic"),
        (0.6, 0.6, "crisis", "hate"),
    ]


def test_a_band_takes_what_it_leaves_out_from_its_entry_then_from_the_policys_band_at_that_score():
    bands = rule(
        "{defamation: {horizon: 5, bands: [{at: 0.1, action: steer}, {at: 0.7, action: steer}, "
        "{at: 0.8, action: steer, alpha: 0.9, horizon: 6}]}}",
        "defamation",
    ).bands
    assert [(b.at, b.alpha, b.horizon, b.reverse_prompt) for b in bands] == [
        (0.1, 0.2, 5, "generic"),
        (0.7, 0.5, 5, "hate"),
        (0.8, 0.9, 6, "hate"),
    ]
    assert {b.safe_prompt for b in bands} == {"defamation"}


def test_severity_and_escalation_are_kept_or_replaced():
    kept = rule("{elections: {threshold: 0.4}}", "elections")
    assert (kept.severity, kept.escalate) == ("medium", Escalation(3, 60.0, "refuse", notify=True))
    changed = rule("{privacy: {severity: low, escalate: {after: 1, within_s: 5, action: block}}}", "privacy")
    assert (changed.severity, changed.escalate) == ("low", Escalation(1, 5.0, "block"))


@pytest.mark.parametrize(
    ("entry", "must"),
    [
        ("hate: {action: steer}", "'refuse' or stricter"),
        ("hate: {action: allow}", "'refuse' or stricter"),
        ("hate: {threshold: 0.6}", "from a score of 0.5"),
        ("hate: {bands: [{at: 0.4, action: steer}, {at: 0.6, action: block}]}", "'refuse' or stricter"),
        ("elections: {alpha: 0.4}", "alpha of at least 0.5"),
        ("elections: {horizon: 19}", "a horizon of at least 20 tokens"),
        ("elections: {escalate: {after: 4, within_s: 60, action: refuse, notify: true}}", "after at most 3 turns"),
        ("elections: {escalate: {after: 3, within_s: 59, action: refuse, notify: true}}", "within at least 60 s"),
        ("elections: {escalate: {after: 3, within_s: 60, action: refuse}}", "with `notify: true`"),
        ("elections: {escalate: {after: 3, within_s: 60, notify: true}}", "with the action 'refuse' or stricter"),
        ("indiscriminate_weapons: {threshold: 1}", "'refuse' or stricter"),
    ],
)
def test_a_tenant_never_weakens_a_locked_rule(entry, must):
    label = entry.split(":")[0]
    (problem,) = problems(f"{{{entry}}}")
    assert problem.startswith(f"p.yaml:11:22: {label} is locked for tenants: ")
    assert must in problem


@pytest.mark.parametrize(
    "entry",
    [
        "hate: {action: block}",
        "hate: {threshold: 0.1}",
        "hate: {message: crisis}",
        "hate: {bands: [{at: 0.3, action: steer}, {at: 0.5, action: refuse}, {at: 0.9, action: block}]}",
        "elections: {alpha: 0.6, horizon: 21}",
        "elections: {action: refuse}",
        "elections: {escalate: {after: 1, within_s: 600, action: block, notify: true}}",
        "indiscriminate_weapons: {action: block, threshold: 0.0}",
    ],
)
def test_a_tenant_may_tighten_a_locked_rule_which_stays_locked(entry):
    assert rule(f"{{{entry}}}", entry.split(":")[0]).locked


def test_a_tenant_may_loosen_what_nobody_locked():
    policy = with_tenant("{privacy: {action: allow}}")
    scored = assessment(privacy=1.0)
    assert policy.decide(scored, "d").action == "steer"
    decision = policy.decide(scored, "d", tenant="clinic")
    assert (decision.action, decision.tenant) == ("allow", "clinic")


def test_a_tenants_entries_touch_no_other_tenant():
    policy = Policy.from_yaml(
        "version: 1\ntenants:\n  a: {hazards: {hate: {action: allow}}}\n  b: {attacks: {jailbreak: {action: block}}}\n  c: {}"
    )
    scored = assessment(hate=1.0)
    assert [policy.decide(scored, "d", tenant=t).action for t in ("a", "b", "c", None)] == ["allow", *["steer"] * 3]
    assert policy.decide(assessment(jailbreak=1.0), "d", tenant="b").action == "block"
    assert policy.decide(assessment(jailbreak=1.0), "d", tenant="a").action == "steer"


ASKS = {
    "decide": lambda policy, tenant: policy.decide(assessment(), "d", tenant=tenant),
    "decide without scores": lambda policy, tenant: policy.decide(None, "d", tenant=tenant),
    "decide_unscored": lambda policy, tenant: policy.decide_unscored("boom", "d", tenant=tenant),
    "firing": lambda policy, tenant: policy.firing(assessment(), tenant=tenant),
    "escalations": lambda policy, tenant: policy.escalations((), tenant=tenant),
}


@pytest.mark.parametrize("mode", ["enforce", "shadow"])
@pytest.mark.parametrize("tenant", ["klinic", "", "Clinic"])
@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_an_unknown_tenant_is_an_error_that_names_the_known_ones(mode, tenant, ask):
    policy = Policy.from_yaml(f"version: 1\nmode: {mode}\ntenants: {{clinic: {{}}, school: {{}}}}")
    with pytest.raises(PolicyError, match=f"no tenant '{tenant}'; it knows: clinic, school"):
        ask(policy, tenant)


@pytest.mark.parametrize("policy", [Policy.default(), Policy.always(0.5)], ids=["default", "always"])
def test_a_policy_without_tenants_knows_none(policy):
    with pytest.raises(PolicyError, match="it has no tenants"):
        policy.decide(assessment(), "d", tenant="clinic")


def test_a_list_of_very_many_tenants_is_cut_short():
    names = ", ".join(f"t{i}: {{}}" for i in range(100))
    policy = Policy.from_yaml(f"version: 1\ntenants: {{{names}}}")
    with pytest.raises(PolicyError, match=r"t29 and 70 more$"):
        policy.decide(None, "d", tenant="x")


def test_an_entry_that_says_what_the_policy_says_is_no_difference():
    assert with_tenant("{privacy: {threshold: 0.4}, hate: {}}") == with_tenant("{}")


@given(policies(), rules(), scores)
def test_a_tenant_without_entries_has_the_policys_own_rules(policy, rule, values):
    policy = dataclasses.replace(policy, tenants={"empty": {}})
    one, other = policy.decide(assessment(values), "d"), policy.decide(assessment(values), "d", tenant="empty")
    assert dataclasses.replace(one, decision_id="", tenant="empty") == dataclasses.replace(other, decision_id="")
