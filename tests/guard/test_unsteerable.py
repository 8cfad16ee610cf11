"""Laws of models that cannot be steered: what was to be steered never passes for it."""

import dataclasses
import logging

import pytest

from rose_guard import Guard, LivePolicy, Message, Policy, SettingsError
from rose_guard.guard import Answer, GenerationOptions, OutputVerdict, Ruling
from tests.guard.fakes import FakeAnswerClassifier, FakeClassifier, FakeEngine, Trail, Unsteerable, pieces_of
from tests.policy.random_policies import assessment

HI = [Message("user", "Hi")]
WORDS = ("refuse", "route", "warn")
LOCKED = "hazards: {hate: {threshold: 0.5, action: steer, locked: true}}\n"
CHECKED = "output: {enabled: true, window_tokens: 8, hold_back_tokens: 1, action: restart, restart_alpha: 0.6}\n"
MILD = "hazards: {hate: {alpha: 0.5}}\n"
"""Leaves room for a stronger contrast."""
ALPHA = Policy.default().rules["hate"].bands[0].alpha
REFUSAL = Policy.default().message("refusal")
both = pytest.mark.parametrize("asynchronous", [False, True])


def policy_of(word, more=""):
    return Policy.from_yaml(f"version: 1\nunsteerable: {word}\n{more}")


def guard_for(policy, *answers, engine=None, local=None, audit=None, **given_scores):
    return Guard(
        engine or Unsteerable(*answers),
        classifier=FakeClassifier(**given_scores),
        policy=policy,
        answer_classifier=FakeAnswerClassifier(),
        local=local,
        audit=audit,
    )


@both
async def test_refuse_is_the_policys_refusal_and_the_model_does_not_run(asynchronous):
    guard = guard_for(Policy.default(), hate=0.9)
    (piece,) = await pieces_of(guard, HI, asynchronous=asynchronous)
    decision = piece.decision
    assert (piece.text, decision.action, decision.message) == (REFUSAL, "refuse", "refusal")
    assert (decision.branches, decision.safe_prompt, decision.horizon, decision.alpha) == ((), None, None, 0.0)
    assert decision.reason.endswith("the model cannot be steered: refuse")
    assert guard.engine.requests == []


@both
async def test_warn_is_plain_decoding_that_is_told_and_recorded_as_such(asynchronous, caplog):
    trail = Trail()
    guard = guard_for(policy_of("warn"), audit=trail, hate=0.9)
    with caplog.at_level(logging.WARNING, "rose_guard.guard"):
        answer = Answer.of(await pieces_of(guard, HI, asynchronous=asynchronous))
    (request,) = guard.engine.requests
    assert (request.reverse_prompts, request.safe_prompt, request.settings.alpha) == ((), None, 0.0)
    assert (answer.text, answer.decision.action, answer.decision.branches) == ("one two three", "allow", ())
    assert answer.decision.hazards == ("hate",)
    assert answer.decision.decision_id in caplog.text
    assert trail.events[0][1]["action"] == "allow"
    assert trail.events[0][1]["reason"].endswith("would be steered, but the model cannot be steered: warn")


@both
async def test_route_is_a_steered_answer_of_the_local_engine(asynchronous):
    local = FakeEngine("from here")
    guard = guard_for(policy_of("route"), local=local, hate=0.9)
    answer = Answer.of(await pieces_of(guard, HI, asynchronous=asynchronous))
    assert (answer.text, answer.decision.action, answer.decision.alpha) == ("from here", "steer", ALPHA)
    assert guard.engine.requests == []
    assert local.requests[0].settings.alpha == ALPHA
    assert "route" in answer.decision.reason


@pytest.mark.parametrize("word", WORDS)
@both
async def test_what_is_harmless_is_the_models_own_answer(word, asynchronous, caplog):
    guard = guard_for(policy_of(word), local=FakeEngine("from here"))
    answer = Answer.of(await pieces_of(guard, HI, asynchronous=asynchronous))
    assert (answer.text, answer.decision.reason) == ("one two three", "no rule fired")
    assert caplog.text == ""


@pytest.mark.parametrize("word", WORDS)
def test_with_a_model_that_can_be_steered_the_key_changes_nothing(word):
    guard = guard_for(policy_of(word), engine=FakeEngine(), hate=0.9)
    assert guard.answer(HI).decision.action == "steer"
    assert guard.engine.requests[0].settings.alpha == ALPHA


@pytest.mark.parametrize("word", WORDS)
def test_what_is_refused_anyway_keeps_its_message(word):
    guard = guard_for(policy_of(word), local=FakeEngine(), suicide_self_harm=0.95)
    assert guard.answer(HI).text == Policy.default().message("crisis")


@both
async def test_where_a_locked_rule_fired_warn_refuses_and_route_routes(asynchronous, caplog):
    guard = guard_for(policy_of("warn", LOCKED), hate=0.9, privacy=0.9)
    (piece,) = await pieces_of(guard, HI, asynchronous=asynchronous)
    assert (piece.decision.action, guard.engine.requests) == ("refuse", [])
    assert caplog.text == ""
    routed = guard_for(policy_of("route", LOCKED), local=FakeEngine(), hate=0.9)
    assert Answer.of(await pieces_of(routed, HI, asynchronous=asynchronous)).decision.action == "steer"


def test_a_locked_rule_that_did_not_fire_does_not_make_warn_refuse():
    assert guard_for(policy_of("warn", LOCKED), privacy=0.9).decide(HI).action == "allow"


def test_a_locked_rule_counts_for_tenants_and_in_shadow_mode_too():
    locked = policy_of("warn", LOCKED + "tenants: {clinic: {}}")
    guard = guard_for(locked, hate=0.9)
    assert guard.decide(HI, options=GenerationOptions(tenant="clinic")).action == "refuse"
    decision = guard_for(policy_of("warn", "mode: shadow\n" + LOCKED), hate=0.9).decide(HI)
    assert (decision.action, decision.shadow.action) == ("refuse", "steer")


def test_what_steers_everything_is_refused_too():
    refusing = guard_for(Policy.always(0.4))
    assert refusing.decide(HI).action == "refuse"
    warning = guard_for(dataclasses.replace(Policy.always(0.4), unsteerable="warn"))
    assert warning.decide(HI).action == "allow"


def test_a_policy_that_routes_needs_an_engine_to_route_to():
    with pytest.raises(SettingsError, match="local="):
        guard_for(policy_of("route"))
    guard_for(policy_of("route"), engine=FakeEngine())


def test_a_local_engine_can_be_steered():
    with pytest.raises(SettingsError, match="local engine"):
        guard_for(policy_of("refuse"), local=Unsteerable())


@both
async def test_a_live_policy_that_comes_to_route_without_a_local_engine_refuses(tmp_path, asynchronous):
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\nunsteerable: warn")
    guard = guard_for(LivePolicy(path, check_every_s=0.0), hate=0.9)
    assert guard.decide(HI).action == "allow"
    path.write_text("version: 1\nunsteerable: route\n")
    (piece,) = await pieces_of(guard, HI, asynchronous=asynchronous)
    assert (piece.text, guard.engine.requests) == (REFUSAL, [])


@both
async def test_a_model_that_cannot_be_steered_begins_nothing_anew(asynchronous):
    trail = Trail()
    guard = guard_for(policy_of("refuse", CHECKED), "a bad b", "fine", audit=trail)
    answer = Answer.of(await pieces_of(guard, HI, asynchronous=asynchronous))
    assert (answer.text, answer.last.verdict) == (f"a \n\n{REFUSAL}", OutputVerdict("refuse", 0.9, 0))
    assert len(guard.engine.requests) == 1
    assert trail.kinds == ["decision", "output", "end"]


@both
async def test_what_was_routed_is_begun_anew_where_it_was_routed_to(asynchronous):
    local = FakeEngine("a bad b", "fine")
    guard = guard_for(policy_of("route", CHECKED + MILD), local=local, hate=0.9)
    answer = Answer.of(await pieces_of(guard, HI, asynchronous=asynchronous))
    assert (answer.text, answer.last.verdict.restarts) == ("a fine", 1)
    assert [request.settings.alpha for request in local.requests] == [0.5, 0.6]
    assert guard.engine.requests == []


class ByText(FakeClassifier):
    def classify(self, messages):
        return FakeClassifier(hate=0.9 if messages[-1].content == "risky" else 0.0).classify(messages)


@both
async def test_many_conversations_are_answered_each_by_whom_it_is_for(asynchronous):
    guard = guard_for(policy_of("route"), local=FakeEngine("from here"))
    guard.classifier = ByText()
    conversations = [[Message("user", text)] for text in ("calm", "risky", "calm", "risky")]
    answers = await guard.aanswers(conversations) if asynchronous else guard.answers(conversations)
    assert [answer.text for (answer,) in answers] == ["one two three", "from here"] * 2
    assert (len(guard.engine.requests), len(guard.local.requests)) == (2, 2)
    assert (guard.engine.open, guard.local.open) == (0, 0)


def test_if_one_engine_refuses_many_the_other_is_freed():
    class Full(FakeEngine):
        def streams(self, requests):
            raise RuntimeError

    guard = guard_for(policy_of("route"), local=Full())
    guard.classifier = ByText()
    with pytest.raises(RuntimeError):
        guard.answers([[Message("user", "calm")], [Message("user", "risky")]])
    assert guard.engine.open == 0


# With a ruling, the strictest of those that steer says what happens.


def ruling(word, more="", **given_scores):
    policy = policy_of(word, more)
    return GenerationOptions(ruling=Ruling(policy.decide(assessment(**given_scores), "d"), policy))


@pytest.mark.parametrize(
    ("own", "ruled", "action"),
    [
        ("warn", "warn", "allow"),
        ("warn", "route", "steer"),
        ("warn", "refuse", "refuse"),
        ("route", "warn", "steer"),
        ("refuse", "warn", "refuse"),
        ("refuse", "route", "refuse"),
    ],
)
@pytest.mark.parametrize("alpha", [0.3, 0.7])
def test_of_two_that_steer_the_stricter_word_holds_whoever_steers_more(own, ruled, action, alpha):
    guard = guard_for(policy_of(own, MILD), local=FakeEngine(), hate=0.9)
    options = ruling(ruled, f"hazards: {{hate: {{alpha: {alpha}}}}}", hate=0.9)
    assert guard.decide(HI, options=options).action == action


@pytest.mark.parametrize(("ruled", "action"), [("warn", "allow"), ("route", "steer"), ("refuse", "refuse")])
@pytest.mark.parametrize("own", [None, "warn", "refuse"])
def test_who_does_not_steer_has_no_word(own, ruled, action):
    guard = guard_for(own and policy_of(own), local=FakeEngine())
    decision = guard.decide(HI, options=ruling(ruled, hate=0.9))
    assert (decision.action, "cannot be steered" in decision.reason) == (action, True)
    refusing = guard_for(policy_of("refuse"), hate=0.9)
    assert refusing.decide(HI, options=ruling("warn")).action == "refuse"


@pytest.mark.parametrize("locked", ["own", "ruled"])
def test_a_lock_of_either_makes_warn_refuse(locked):
    guard = guard_for(policy_of("warn", LOCKED if locked == "own" else ""), hate=0.9)
    options = ruling("warn", LOCKED if locked == "ruled" else "", hate=0.9)
    assert guard.decide(HI, options=options).action == "refuse"
