"""A policy made in Python keeps the same laws as one from a file."""

import dataclasses
import math

import pytest

from rose_guard import Policy, PolicyError
from rose_guard.policy import Escalation, OutputCheck
from rose_guard.policy.rule import Band, Rule

SHIPPED = Policy.default()
HATE = SHIPPED.rules["hate"]
BAND = HATE.bands[0]
WEAPONS = SHIPPED.rules["indiscriminate_weapons"]


def changed(label, **changes):
    return {"rules": {**SHIPPED.rules, label: dataclasses.replace(SHIPPED.rules[label], **changes)}}


def band(**changes):
    return changed("hate", bands=(dataclasses.replace(BAND, **changes),))


def tenant(rule, label="hate", name="clinic"):
    return {"tenants": {name: {label: rule}}}


STEER_THEN_ALLOW = (BAND, Band(1.0, "allow", 0.5, None, "generic", "generic", "refusal"))
LOCKED = dataclasses.replace(HATE, locked=True, escalate=Escalation(3, 60.0, "refuse"))
WITH_LOCK = {"rules": {**SHIPPED.rules, "hate": LOCKED}}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (band(safe_prompt="nope"), "hazards.hate.bands.0.safe_prompt: unknown safe prompt 'nope'"),
        (band(reverse_prompt="nope"), "hazards.hate.bands.0.reverse_prompt: unknown reverse prompt 'nope'"),
        (band(message="refusl"), "hazards.hate.bands.0.message: unknown message 'refusl'; did you mean 'refusal'?"),
        *[(band(alpha=alpha), "hazards.hate.bands.0.alpha: must be above 0 and below 1") for alpha in (0, 1, -1, 2)],
        *[(band(alpha=alpha), "bands.0.alpha") for alpha in (math.nan, math.inf, None, "0.5", True)],
        *[(band(at=at), "hazards.hate.bands.0.at") for at in (-0.1, 1.1, math.nan, None, "x")],
        *[(band(horizon=horizon), "hazards.hate.bands.0.horizon") for horizon in (0, -1, 1.5, True, 10**9)],
        (band(action="stear"), "hazards.hate.bands.0.action"),
        (changed("hate", bands=()), "hazards.hate.bands: a rule has at least one band"),
        (changed("hate", bands=(BAND, BAND)), "hazards.hate.bands: bands must be listed with rising `at`"),
        (changed("hate", bands=STEER_THEN_ALLOW), "hazards.hate.bands.1: hate: a higher score gives a weaker action"),
        (changed("hate", severity="grave"), "hazards.hate.severity"),
        (changed("hate", locked="no"), "hazards.hate.locked"),
        (changed("indiscriminate_weapons", bands=(BAND,)), "hazards.indiscriminate_weapons: indiscriminate_weapons is"),
        (changed("indiscriminate_weapons", locked=False), "locked by the shipped policy, and must stay so"),
        ({"rules": {}}, "no rule for hate"),
        ({"rules": {**SHIPPED.rules, "hat": HATE}}, "hazards.hat: the taxonomy has no such hazard or attack"),
        ({"messages": {**SHIPPED.messages, "refusal": {"fr": "non"}}}, "messages.refusal: 'refusal' has no `en` text"),
        ({"messages": {**SHIPPED.messages, "refusal": {"en": " "}}}, "messages.refusal.en: the text of 'refusal' is empty"),
        ({"messages": {**SHIPPED.messages, "refusal": {"en": None}}}, "messages.refusal: a prompt or message is a text"),
        ({"messages": {**SHIPPED.messages, "refusal": {"en": "x", 3: "y"}}}, "'3' is no language code"),
        *[({"max_total_alpha": alpha}, "max_total_alpha") for alpha in (0.0, 1.0, -1.0, math.nan, "0.5", None)],
        *[({"timeout_s": timeout}, "timeout_s") for timeout in (0.0, -1.0, math.inf, math.nan, "1")],
        ({"mode": "observe"}, "mode: must be 'enforce' or 'shadow'"),
        *[({"on_error": action}, "on_error") for action in ("allow", "steer", None)],
        *[({"on_audit_error": action}, "on_audit_error") for action in ("allow", "continue", None)],
        *[({"unsteerable": word}, "unsteerable: must be one of: warn, route, refuse") for word in ("allow", "steer", None)],
        ({"ungated": dataclasses.replace(BAND, alpha=1.0)}, "ungated.alpha"),
        ({"ungated": dataclasses.replace(BAND, action="refuse")}, "ungated.action: must be 'steer'"),
        ({"ungated": dataclasses.replace(BAND, reverse_prompt="nope")}, "ungated.reverse_prompt"),
        ({"ungated": BAND, "mode": "shadow"}, "mode: a policy that steers everything"),
        ({"output": OutputCheck(message="nope")}, "output.message: unknown message 'nope'"),
        ({"output": OutputCheck(hold_back_tokens=65)}, "output.hold_back_tokens"),
        ({"output": OutputCheck(window_tokens="8")}, "output.window_tokens"),
        ({"output": OutputCheck(restarts=6)}, "output.restarts"),
        ({"output": OutputCheck(restart_alpha=math.nan)}, "output.restart_alpha"),
        ({"output": OutputCheck(action="restart", restart_alpha=0.8)}, "at most max_total_alpha, 0.7"),
        ({"output": OutputCheck(threshold=2)}, "output.threshold"),
        ({"output": OutputCheck(enabled="no")}, "output.enabled"),
        ({"output": OutputCheck(action="block")}, "output.action"),
        ({"output": OutputCheck(on_error="allow")}, "output.on_error"),
        (tenant(dataclasses.replace(HATE, bands=())), "tenants.clinic.hazards.hate.bands"),
        (tenant(dataclasses.replace(HATE, bands=STEER_THEN_ALLOW)), "tenants.clinic.hazards.hate.bands.1"),
        (tenant(dataclasses.replace(HATE, bands=(dataclasses.replace(BAND, message="x"),))), "unknown message 'x'"),
        (tenant(dataclasses.replace(HATE, locked=True)), "a tenant cannot set 'locked'"),
        (tenant(dataclasses.replace(WEAPONS, locked=False), "indiscriminate_weapons"), "a tenant cannot set 'locked'"),
        (tenant(HATE, "hat"), "tenants.clinic.hazards.hat: the taxonomy"),
        (tenant(HATE, name=" "), "tenants: a tenant's name"),
        (tenant(HATE, name=None), "tenants: a tenant's name"),
        (
            {**WITH_LOCK, **tenant(dataclasses.replace(LOCKED, escalate=None))},
            "tenants.clinic.hazards.hate: hate is locked for tenants: it must escalate after at most 3 turns",
        ),
    ],
)  # fmt: skip
def test_what_a_file_could_not_say_python_cannot_either(parts, expected):
    with pytest.raises(PolicyError) as caught:
        dataclasses.replace(SHIPPED, **parts)
    assert any(expected in problem for problem in caught.value.problems), caught.value.problems


def test_every_broken_law_is_told_at_once():
    with pytest.raises(PolicyError) as caught:
        dataclasses.replace(SHIPPED, max_total_alpha=2.0, mode="x", **band(alpha=-1.0))
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "max_total_alpha", "mode", "hazards.hate.bands.0.alpha",
    ]  # fmt: skip


def test_a_policys_own_parts_make_the_same_policy():
    policy = Policy.from_yaml("version: 1\nmode: shadow\ntenants: {clinic: {hazards: {hate: {action: allow}}}}")
    again = Policy(**policy.parts())
    assert (again, again.digest) == (policy, policy.digest)


def test_nothing_in_a_policy_can_be_changed_in_place():
    policy = Policy.from_yaml("version: 1\ntenants: {clinic: {hazards: {hate: {action: allow}}}}")
    texts = [policy.messages, policy.messages["refusal"], policy.safe_prompts["hate"], policy.reverse_prompts["hate"]]
    for mapping in (policy.rules, policy.tenants, policy.tenants["clinic"], *texts):
        with pytest.raises(TypeError):
            mapping["hate"] = None


def test_what_a_policy_was_made_of_may_change_without_changing_it():
    rules, texts = dict(SHIPPED.rules), {**SHIPPED.messages, "mine": {"en": "x"}}
    policy = dataclasses.replace(SHIPPED, rules=rules, messages=texts)
    rules.clear()
    texts["mine"]["en"] = "y"
    assert policy.rules == SHIPPED.rules
    assert policy.message("mine") == "x"


def test_a_rule_may_be_made_without_an_escalation():
    assert Rule((BAND,), "low", locked=False).escalate is None
