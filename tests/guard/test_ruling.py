"""Laws of rulings: a decision made elsewhere tightens a turn, and never loosens it."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rose_guard import Decision, Guard, Message, Policy, PolicyViolation, SettingsError
from rose_guard.guard import Answer, GenerationOptions, OutputVerdict, Ruling
from rose_guard.guard.checked_answer import restart_alphas
from rose_guard.guard.ruling import overrules, tightened
from rose_guard.message import digest
from tests.guard.fakes import FakeAnswerClassifier, FakeClassifier, FakeEngine, Trail, pieces_of
from tests.policy.random_policies import assessment, is_weaker, policies, risky_turns, scores, strength, tenants

HI = [Message("user", "Hi")]
DEFAULT = Policy.default()
OTHER = Policy.from_yaml("""
version: 1
max_total_alpha: 0.9
messages: {mine: {en: Not here., fr: Pas ici.}}
safe_prompts: {mine: {en: Be kind.}}
reverse_prompts: {mine: {en: Be rude.}}
hazards:
  hate: {alpha: 0.8, safe_prompt: mine, reverse_prompt: mine}
  privacy: {action: refuse, message: mine}
  defamation: {action: block}
""")
CHECKING = Policy.from_yaml(
    "version: 1\noutput: {enabled: true, window_tokens: 8, hold_back_tokens: 1, action: restart, restart_alpha: 0.5}"
)
both = pytest.mark.parametrize("asynchronous", [False, True])


def ruling(policy=OTHER, **given_scores):
    return Ruling(policy.decide(assessment(**given_scores), "digest of other messages"), policy)


def guard_for(policy=DEFAULT, *answers, audit=None, **given_scores):
    return Guard(
        FakeEngine(*answers),
        classifier=FakeClassifier(**given_scores),
        policy=policy,
        answer_classifier=FakeAnswerClassifier(),
        audit=audit,
    )


@given(st.tuples(policies(), policies()), tenants, st.tuples(scores, scores), risky_turns)
def test_what_holds_is_never_weaker_than_either_and_stays_when_ruled_again(by, tenant, given_scores, turns):
    own = by[0].decide(assessment(given_scores[0]), "d", tenant=tenant, risky_turns=turns)
    ruled = by[1].decide(assessment(given_scores[1]), "e")
    holding = tightened(own, ruled)
    assert not is_weaker(holding, own)
    assert not is_weaker(holding, ruled)
    assert tightened(holding, ruled) == holding
    assert tightened(own, own) is own
    assert strength(tightened(ruled, own)) == strength(holding)
    if strength(holding) == strength(own):
        assert holding == own
    source = ruled if overrules(ruled, own) else own
    assert (holding.branches, holding.safe_prompt, holding.message) == (
        source.branches,
        source.safe_prompt,
        source.message,
    )
    assert holding.policy_digest == source.policy_digest


steering = st.builds(
    Decision,
    st.just("steer"),
    *[st.just("x")] * 3,
    branches=st.sampled_from([0.3, 0.5, 0.8]).map(lambda alpha: (("generic", alpha),)),
    horizon=st.none() | st.integers(1, 3),
)


@given(steering, steering)
def test_of_two_contrasts_the_stronger_holds_for_as_long_as_the_longer(own, ruled):
    holding = tightened(own, ruled)
    horizons = [own.horizon, ruled.horizon]
    assert holding.alpha == max(own.alpha, ruled.alpha)
    assert holding.horizon == (None if None in horizons else max(horizons))
    assert (holding == own) == (ruled.decision_id not in holding.reason)
    assert tightened(holding, ruled) == holding


def test_what_holds_names_the_labels_that_made_it_stricter():
    ruled = dataclasses.replace(ruling(privacy=0.9).decision, escalated=("privacy",))
    assert tightened(DEFAULT.decide(assessment(hate=0.9), "d"), ruled).escalated == ("privacy",)


@given(policies(), policies(), scores, scores)
@settings(max_examples=40)
def test_what_is_known_of_the_messages_stays_the_turns_own(one, other, these, those):
    own = one.decide(assessment(these), "d", tenant="clinic")
    holding = tightened(own, other.decide(assessment(those), "e", tenant="school"))
    for part in ("decision_id", "messages_digest", "assessment", "tenant", "mode", "shadow", "notify"):
        assert getattr(holding, part) == getattr(own, part)


def test_the_graver_severity_is_told():
    grave = dataclasses.replace(ruling(hate=0.9).decision, severity="critical")
    light = dataclasses.replace(ruling(privacy=0.9).decision, severity="low")
    assert tightened(grave, light).severity == "critical"
    assert tightened(dataclasses.replace(grave, severity=None), light).severity == "low"


@given(policies(), scores)
@settings(max_examples=40)
def test_every_decision_of_a_policy_can_be_a_ruling_of_it(policy, these):
    Ruling(policy.decide(assessment(these), "d"), policy)


@both
async def test_a_stricter_refusal_holds_in_its_own_policys_words_and_the_model_does_not_run(asynchronous):
    guard = guard_for()
    options = GenerationOptions(ruling=ruling(privacy=0.9), language="fr")
    (piece,) = await pieces_of(guard, HI, options, asynchronous=asynchronous)
    assert (piece.text, piece.decision.action, piece.decision.hazards) == ("Pas ici.", "refuse", ("privacy",))
    assert guard.engine.requests == []


@both
async def test_a_block_that_was_ruled_raises(asynchronous):
    guard, blocking = guard_for(), ruling(defamation=0.9)
    with pytest.raises(PolicyViolation, match=f"stricter ruling holds .decision {blocking.decision.decision_id}"):
        await pieces_of(guard, HI, GenerationOptions(ruling=blocking), asynchronous=asynchronous)
    assert guard.engine.requests == []


@pytest.mark.parametrize("own", [{}, {"hate": 0.9}], ids=["allow", "a milder steer"])
@both
async def test_a_stricter_contrast_holds_with_its_own_policys_prompts(own, asynchronous):
    guard = guard_for(**own)
    (piece, *_) = await pieces_of(guard, HI, GenerationOptions(ruling=ruling(hate=0.9)), asynchronous=asynchronous)
    (request,) = guard.engine.requests
    assert (request.settings.alpha, request.safe_prompt) == (0.8, "Be kind.")
    assert [prompt.text for prompt in request.reverse_prompts] == ["Be rude."]
    assert piece.decision.policy_digest == OTHER.digest


@pytest.mark.parametrize("milder", [ruling(), ruling(DEFAULT, hate=0.9)], ids=["allow", "an equal steer"])
def test_a_milder_ruling_changes_nothing(milder):
    guard, options = guard_for(hate=0.9), GenerationOptions(ruling=milder)
    ruled, own = guard.decide(HI, options=options), guard.decide(HI)
    assert dataclasses.replace(ruled, decision_id=own.decision_id) == own
    refusing = guard_for(suicide_self_harm=0.95)
    assert refusing.answer(HI, options=options).text == DEFAULT.message("crisis")


def test_the_decision_is_about_these_messages_and_names_the_ruling():
    given_ruling = ruling(privacy=0.9)
    decision = guard_for().decide(HI, options=GenerationOptions(ruling=given_ruling))
    assert decision.messages_digest == digest(HI)
    assert decision.decision_id != given_ruling.decision.decision_id
    assert given_ruling.decision.decision_id in decision.reason


def test_the_ruling_is_on_record():
    trail, given_ruling = Trail(), ruling(privacy=0.9)
    guard_for(audit=trail).answer(HI, options=GenerationOptions(ruling=given_ruling))
    ((kind, line),) = trail.events
    assert (kind, line["action"], line["policy_digest"]) == ("decision", "refuse", OTHER.digest)
    assert given_ruling.decision.decision_id in line["reason"]


def test_what_asks_for_a_human_is_told_by_whoever_found_it():
    told = []
    notifying = dataclasses.replace(ruling(privacy=0.9).decision, notify=("privacy",))
    guard = guard_for()
    guard.on_notify = told.append
    guard.decide(HI, options=GenerationOptions(ruling=Ruling(notifying, OTHER)))
    assert told == []


@pytest.mark.parametrize("sent", [{"decision": {"action": "allow"}, "policy": None}, "allow", 1, (None, None)])
def test_what_a_client_sends_is_no_ruling(sent):
    with pytest.raises(SettingsError, match="ruling"):
        GenerationOptions(ruling=sent)


@pytest.mark.parametrize(
    ("decision", "policy"),
    [
        (None, OTHER),
        (ruling().decision, None),
        (ruling(hate=0.9).decision, DEFAULT),
        (ruling(privacy=0.9).decision, DEFAULT),
        (Decision("steer", "no contrast", "p", "m"), OTHER),
        (Decision("stear", "no action", "p", "m"), OTHER),
    ],
)
def test_a_ruling_is_a_decision_that_its_policy_can_have_made(decision, policy):
    with pytest.raises(SettingsError, match="ruling"):
        Ruling(decision, policy)


def test_a_ruling_is_not_in_a_repr():
    assert "ruling" not in repr(GenerationOptions(ruling=ruling(hate=0.9)))
    assert "rude" not in repr(ruling(hate=0.9))


def test_a_ruling_of_a_policy_in_shadow_mode_holds_as_far_as_that_acts():
    shadow = Policy.from_yaml("version: 1\nmode: shadow")
    options = GenerationOptions(ruling=ruling(shadow, hate=0.9))
    assert guard_for().decide(HI, options=options).action == "allow"
    options = GenerationOptions(ruling=ruling(shadow, indiscriminate_weapons=1.0))
    assert guard_for().decide(HI, options=options).action == "refuse"


def test_a_turn_in_shadow_mode_tells_its_shadow_and_does_what_was_ruled():
    guard = guard_for(Policy.from_yaml("version: 1\nmode: shadow"), hate=0.9)
    decision = guard.decide(HI, options=GenerationOptions(ruling=ruling(privacy=0.9)))
    assert (decision.action, decision.shadow.action) == ("refuse", "steer")
    assert decision.shadow.decision_id == decision.decision_id


# A turn without a policy of its own.


@both
async def test_without_a_policy_the_rulings_output_check_holds_even_where_it_allows(asynchronous):
    guard = guard_for(None, "a b bad c", "fine")
    options = GenerationOptions(ruling=ruling(CHECKING))
    answer = Answer.of(await pieces_of(guard, HI, options, asynchronous=asynchronous))
    assert (answer.text, answer.last.verdict) == ("a b fine", OutputVerdict("release", 0.1, 1))
    assert guard.engine.requests[1].reverse_prompts[0].text == CHECKING.reverse_prompt("generic")
    assert Answer.of(await pieces_of(guard_for(None, "a bad"), HI, asynchronous=asynchronous)).text == "a bad"


def test_without_a_policy_and_something_to_check_with_nothing_is_shown():
    guard = Guard(FakeEngine("a b"))
    assert guard.answer(HI, options=GenerationOptions(ruling=ruling(CHECKING))).text == DEFAULT.message("refusal")


def test_without_a_policy_the_ruling_says_what_happens_where_nothing_can_be_recorded():
    guard = guard_for(None, audit=Trail("decision"))
    answer = guard.answer(HI, options=GenerationOptions(ruling=ruling()))
    assert (answer.text, answer.decision.action) == (DEFAULT.message("refusal"), "refuse")


# A turn with a policy of its own, whose check holds.


@pytest.mark.parametrize("own", [CHECKING, DEFAULT])
def test_with_a_policy_its_own_output_check_holds(own):
    options = GenerationOptions(ruling=ruling(OTHER if own is CHECKING else CHECKING, hate=0.9))
    verdict = guard_for(own).answer(HI, options=options).last.verdict
    assert (verdict is not None) == (own is CHECKING)


def test_a_restart_keeps_the_rulings_prompts_and_is_never_weaker_than_it():
    guard = guard_for(CHECKING, "a bad", "fine")
    falling = dataclasses.replace(ruling(hate=0.9).decision, horizon=4)
    guard.answer(HI, options=GenerationOptions(ruling=Ruling(falling, OTHER)))
    first, second = guard.engine.requests
    assert second.reverse_prompts == first.reverse_prompts
    assert second.safe_prompt == "Be kind."
    assert (first.settings.alpha, first.settings.horizon) == (0.8, 4)
    assert (second.settings.alpha, second.settings.horizon) == (0.8, None)


@given(policies(), scores)
@settings(max_examples=40)
def test_restarts_are_never_weaker_than_the_decision(policy, these):
    decision = policy.decide(assessment(these), "d")
    alphas = restart_alphas(decision, CHECKING)
    assert all(alpha >= decision.alpha for alpha in alphas)
    assert list(alphas) == sorted(set(alphas))


def test_no_part_of_a_ruling_reaches_the_log_in_words():
    trail = Trail()
    guard_for(audit=trail).answer(HI, options=GenerationOptions(ruling=ruling(hate=0.9)))
    written = json.dumps(trail.events, default=lambda private: private.purpose)
    assert "rude" not in written
    assert "kind." not in written
