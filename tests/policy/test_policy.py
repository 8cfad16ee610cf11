"""Laws of deciding."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard import Policy, PolicyError, RiskAssessment, SettingsError
from rose_guard.policy.decision import ACTIONS, strictness
from rose_guard.taxonomy import ATTACKS, HAZARDS

LABELS = [*HAZARDS, *ATTACKS]
probabilities = st.floats(0, 1)
scores = st.fixed_dictionaries(dict.fromkeys(LABELS, probabilities))


def assessment(given_scores=None, **some):
    values = {**dict.fromkeys(LABELS, 0.0), **(given_scores or {}), **some}
    return RiskAssessment(max(values.values()), {h: values[h] for h in HAZARDS}, {a: values[a] for a in ATTACKS})


def decide(policy, given_scores=None, **some):
    return policy.decide(assessment(given_scores, **some), "digest")


BANDED = Policy.from_yaml(
    """
version: 1
max_total_alpha: 0.6
hazards:
  hate:
    bands: [{at: 0.2, action: steer, alpha: 0.3}, {at: 0.5, action: steer, alpha: 0.9}, {at: 0.9, action: block}]
  privacy: {threshold: 0.4, alpha: 0.4, reverse_prompt: privacy}
  defamation: {threshold: 0.4, alpha: 0.4, reverse_prompt: privacy}
  misinformation: {threshold: 0.5, action: refuse}
"""
)


def test_no_risk_is_allowed_and_says_so():
    decision = decide(Policy.default())
    assert (decision.action, decision.branches, decision.alpha, decision.message) == ("allow", (), 0, None)


@pytest.mark.parametrize("label", LABELS)
def test_every_hazard_and_attack_has_a_rule_that_fires(label):
    decision = decide(Policy.default(), **{label: 1.0})
    assert decision.action != "allow"
    assert label in decision.hazards + decision.attacks
    assert label in decision.reason


@pytest.mark.parametrize("label", ["child_sexual_exploitation", "indiscriminate_weapons"])
def test_the_gravest_hazards_are_never_steered(label):
    policy = Policy.default()
    assert policy.rules[label].locked
    for score in range(101):
        assert decide(policy, **{label: score / 100}).action in ("allow", "refuse", "block")


@given(scores, st.sampled_from(LABELS), probabilities)
def test_a_higher_score_never_gives_a_weaker_action_or_a_smaller_alpha(values, label, raised):
    for policy in (Policy.default(), BANDED):
        before = decide(policy, values)
        after = decide(policy, {**values, label: max(values[label], raised)})
        assert strictness(after.action) >= strictness(before.action)
        if before.action == after.action == "steer":
            assert after.alpha >= before.alpha - 1e-9


@given(scores)
def test_the_total_alpha_is_the_first_hazards_or_the_ceiling(values):
    decision = decide(BANDED, values)
    if decision.action != "steer":
        assert decision.branches == ()
        return
    firing = [BANDED.rules[label].band(score) for label, score in values.items()]
    highest = max(band.alpha for band in firing if band)
    assert decision.alpha == pytest.approx(min(highest, BANDED.max_total_alpha))
    assert 1 <= len(decision.branches) <= 2


@given(scores, st.randoms())
def test_the_order_in_which_hazards_are_scored_does_not_matter(values, random):
    shuffled = list(values.items())
    random.shuffle(shuffled)
    one, other = decide(BANDED, values), decide(BANDED, dict(shuffled))
    assert dataclasses.replace(one, decision_id="") == dataclasses.replace(other, decision_id="")


def test_a_higher_score_never_shortens_the_contrast():
    policy = Policy.from_yaml(
        "version: 1\nhazards:\n  hate: {threshold: 0.5, alpha: 0.5}\n"
        "  privacy: {threshold: 0.5, alpha: 0.6, horizon: 1}\n  defamation: {threshold: 0.5, alpha: 0.4, horizon: 9}"
    )
    assert decide(policy, privacy=1.0).horizon == 1
    assert decide(policy, privacy=1.0, defamation=1.0).horizon == 9
    assert decide(policy, hate=0.6, privacy=1.0, defamation=1.0).horizon is None


def test_a_policy_cannot_be_made_to_allow_what_was_not_scored():
    with pytest.raises(PolicyError, match="on_error"):
        dataclasses.replace(Policy.default(), on_error="allow")
    with pytest.raises(PolicyError, match="hate"):
        dataclasses.replace(Policy.default(), rules={k: v for k, v in Policy.default().rules.items() if k != "hate"})


def test_the_shipped_policy_cannot_be_changed_in_place():
    policy = Policy.default()
    with pytest.raises(TypeError):
        policy.rules["hate"] = policy.rules["privacy"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.on_error = "allow"


def test_two_hazards_share_the_alpha_in_proportion():
    decision = decide(BANDED, hate=0.6, privacy=0.6)
    (first, a), (second, b) = decision.branches
    assert (first, second) == ("generic", "privacy")
    assert a == pytest.approx(0.6 * 0.9 / 1.3)
    assert b == pytest.approx(0.6 * 0.4 / 1.3)


@pytest.mark.parametrize(("alphas", "ceiling"), [((0.3, 0.3), 5e-324), ((0.9, 1e-300), 0.7), ((5e-324, 5e-324), 0.7)])
def test_a_strength_too_small_to_share_stays_whole(alphas, ceiling):
    one, other = alphas
    policy = Policy.from_yaml(
        f"version: 1\nmax_total_alpha: {ceiling}\nhazards:\n  hate: {{alpha: {one}, reverse_prompt: hate}}\n"
        f"  privacy: {{alpha: {other}, reverse_prompt: privacy}}"
    )
    ((_, alpha),) = decide(policy, hate=1.0, privacy=1.0).branches
    assert alpha == min(one, ceiling)


def test_equal_reverse_prompts_merge_into_one_branch():
    assert decide(BANDED, privacy=1.0, defamation=0.5).branches == (("privacy", pytest.approx(0.4)),)


def test_at_most_two_hazards_steer_and_ties_go_by_taxonomy_order():
    policy = Policy.default()
    decision = decide(policy, **dict.fromkeys(["violent_crimes", "nonviolent_crimes", "sex_crimes", "hate"], 1.0))
    assert [prompt for prompt, _ in decision.branches] == ["violence", "crime"]
    assert decision.safe_prompt == "violence"


def test_rules_that_refuse_are_ranked_by_severity_and_score_whatever_their_alpha():
    policy = Policy.from_yaml(
        "version: 1\nhazards:\n  hate: {threshold: 0.5, action: refuse, alpha: 0.9, severity: low}\n"
        "  privacy: {threshold: 0.5, action: refuse, alpha: 0.1, severity: high, message: crisis}\n"
        "  elections: {threshold: 0.5, action: refuse, alpha: 0.2, severity: high}"
    )
    decision = decide(policy, hate=1.0, privacy=0.7, elections=0.6)
    assert (decision.hazards, decision.message) == (("privacy", "elections", "hate"), "crisis")


def test_the_strictest_action_wins_over_any_alpha():
    assert decide(BANDED, hate=0.8, misinformation=0.5).action == "refuse"
    assert decide(BANDED, hate=0.95, misinformation=0.5).action == "block"


def test_a_threshold_is_reached_at_its_very_value():
    assert decide(BANDED, privacy=0.4).action == "steer"
    assert decide(BANDED, privacy=0.3999).action == "allow"


def test_a_failed_classifier_never_leads_to_allow():
    assert Policy.default().decide_unscored("boom", "d").action == "refuse"
    assert Policy.default().decide(None, "d").action == "refuse"
    for action in ("refuse", "block"):
        policy = Policy.from_yaml(f"version: 1\nclassifier: {{on_error: {action}}}")
        assert policy.decide_unscored("boom", "d").action == action


def test_always_steers_everything_as_strongly_as_asked():
    policy = Policy.always(alpha=0.9, reverse_prompt="null")
    assert policy.decide(None, "d").branches == (("null", 0.9),)
    assert policy.reverse_prompt("null") == ""


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, float("nan"), float("inf")])
def test_always_refuses_an_alpha_that_is_no_strength(alpha):
    with pytest.raises(SettingsError, match="alpha"):
        Policy.always(alpha=alpha)


def test_always_suggests_a_misspelled_reverse_prompt():
    with pytest.raises(PolicyError, match="did you mean 'generic'"):
        Policy.always(reverse_prompt="genric")


def test_the_digest_tells_policies_apart_and_is_stable():
    assert Policy.default().digest == Policy.default().digest == Policy.from_yaml("version: 1").digest
    assert len({Policy.default().digest, BANDED.digest, Policy.always(0.5).digest, Policy.always(0.4).digest}) == 4


def test_each_decision_has_an_id_of_its_own():
    assert decide(BANDED).decision_id != decide(BANDED).decision_id


def test_actions_are_ordered_from_mildest_to_strictest():
    assert ACTIONS == ("allow", "steer", "refuse", "block")


def test_the_shipped_prompts_are_written_for_each_hazard():
    policy = Policy.default()
    steering = [band for rule in policy.rules.values() for band in rule.bands if band.action == "steer"]
    assert len({band.reverse_prompt for band in steering}) >= 18
    for prompts in (policy.safe_prompts, policy.reverse_prompts):
        texts = [text["en"] for text in prompts.values()]
        assert len(set(texts)) == len(texts)


def test_a_policy_shows_no_prompt_in_its_repr():
    assert Policy.default().reverse_prompt("hate")[:20] not in repr(Policy.default())


def test_a_missing_language_falls_back_to_english():
    policy = Policy.default()
    assert policy.message("crisis", "xx") == policy.message("crisis", "en")
