"""Laws of the guard: where classifier, policy and engine meet, nothing slips through."""

import asyncio
import time

import pytest

from rose_guard import (
    ClassifierError,
    DecodingError,
    Guard,
    InputError,
    LivePolicy,
    Message,
    Policy,
    PolicyViolation,
    RiskAssessment,
    RoseSettings,
)
from rose_guard.engines import Delta, Usage
from rose_guard.guard import GenerationOptions
from rose_guard.message import digest
from rose_guard.risk.classifier import Classifier
from tests.guard.fakes import FailingClassifier, FakeClassifier, FakeEngine

HI = [Message("user", "Hi")]
ALPHA = Policy.default().rules["hate"].bands[0].alpha


def guard_for(policy=None, **scores):
    return Guard(FakeEngine(), classifier=FakeClassifier(**scores), policy=policy or Policy.default())


BLOCKING = Policy.from_yaml("version: 1\nhazards:\n  hate: {action: block}")


def test_what_is_harmless_is_decoded_plainly_with_the_users_messages_only():
    guard = guard_for()
    answer = guard.answer(HI)
    (request,) = guard.engine.requests
    assert (answer.text, answer.decision.action) == ("one two three", "allow")
    assert (request.safe_prompt, request.reverse_prompts, request.settings.alpha) == (None, (), 0.0)


def test_what_is_risky_is_steered_with_the_policys_prompts():
    guard = guard_for(hate=0.9)
    decision = guard.answer(HI).decision
    (request,) = guard.engine.requests
    policy = Policy.default()
    assert decision.hazards == ("hate",)
    assert request.safe_prompt == policy.safe_prompt("hate")
    assert [prompt.text for prompt in request.reverse_prompts] == [policy.reverse_prompt("hate")]
    assert request.settings.alpha == decision.alpha == ALPHA


def test_a_refusal_is_the_policys_message_and_the_model_does_not_run():
    guard = guard_for(suicide_self_harm=0.95)
    answer = guard.answer(HI)
    assert guard.engine.requests == []
    assert answer.text == Policy.default().message("crisis")
    assert (answer.last.delta.finish_reason, answer.last.delta.usage) == ("content_filter", Usage(0, 0))


def test_a_block_is_an_error_without_text_and_the_model_does_not_run():
    guard = guard_for(BLOCKING, hate=0.9)
    with pytest.raises(PolicyViolation, match="hate"):
        guard.answer(HI)
    with pytest.raises(PolicyViolation):
        asyncio.run(guard.aanswer(HI))
    assert guard.engine.requests == []


@pytest.mark.parametrize(
    "error", [ClassifierError("no weights"), RuntimeError("secret prompt"), ValueError("x"), MemoryError()]
)
@pytest.mark.parametrize("on_error", ["refuse", "block"])
def test_a_failing_classifier_leads_to_on_error_and_never_to_plain_decoding(error, on_error):
    policy = Policy.from_yaml(f"version: 1\nclassifier: {{on_error: {on_error}}}")
    guard = Guard(FakeEngine(), classifier=FailingClassifier(error), policy=policy)
    decision = guard.decide(HI)
    assert decision.action == on_error
    assert "could not be scored" in decision.reason
    assert "secret prompt" not in decision.reason
    if on_error == "refuse":
        assert guard.answer(HI).last.delta.finish_reason == "content_filter"
    assert guard.engine.requests == []


def test_a_classifier_that_returns_something_else_is_a_failure_too():
    class Sloppy:
        name = "sloppy"

        def classify(self, messages):
            return RiskAssessment(0.0, {"hate": 0.0}, {})

    guard = Guard(FakeEngine(), classifier=Sloppy(), policy=Policy.default())
    assert guard.decide(HI).action == "refuse"


@pytest.mark.parametrize("returned", [None, {}, 0.0])
def test_a_classifier_that_returns_no_assessment_never_leads_to_allow(returned):
    class Sloppy:
        name = "sloppy"

        def classify(self, messages):
            return returned

    guard = Guard(FakeEngine(), classifier=Sloppy(), policy=Policy.default())
    assert guard.decide(HI).action == "refuse"


def test_a_classifier_that_is_late_is_a_failure_too():
    class Slow(FakeClassifier):
        def classify(self, messages):
            time.sleep(0.05)
            return super().classify(messages)

    policy = Policy.from_yaml("version: 1\nclassifier: {timeout_s: 0.01}")
    decision = Guard(FakeEngine(), classifier=Slow(), policy=policy).decide(HI)
    assert decision.action == "refuse"
    assert "timeout_s" in decision.reason


def test_the_time_for_scoring_grows_with_the_text():
    policy = Policy.from_yaml("version: 1\nclassifier: {timeout_s: 0.5}")
    assert policy.scoring_time(0) == 0.5
    assert policy.scoring_time(10_000) == pytest.approx(5.5)


class Together(Classifier):
    """Scores many in one call, and remembers how many."""

    name = "together"

    def __init__(self, fault=None):
        self.calls, self.fault = [], fault

    def assess(self, messages):
        self.calls.append(1)
        if self.fault and messages[-1].content == "bad":
            raise self.fault
        return FakeClassifier().classify(messages)

    def assess_many(self, conversations):
        found = super().assess_many(conversations)
        self.calls = [len(conversations)]
        return found


def test_many_conversations_are_scored_in_one_call():
    guard = Guard(FakeEngine(), classifier=Together(), policy=Policy.default())
    assert [answers[0].text for answers in guard.answers([HI, HI, HI])] == ["one two three"] * 3
    assert guard.classifier.calls == [3]


@pytest.mark.parametrize("fault", [ClassifierError("no"), RuntimeError()])
def test_one_that_cannot_be_scored_leaves_the_others_as_they_are(fault):
    guard = Guard(FakeEngine(), classifier=Together(fault), policy=Policy.default())
    actions = [answers[0].decision.action for answers in guard.answers([HI, [Message("user", "bad")], HI])]
    assert actions == ["allow", "refuse", "allow"]


def test_a_batch_with_too_few_assessments_is_scored_one_by_one():
    class Short(Together):
        def assess_many(self, conversations):
            return super().assess_many(conversations)[1:]

    guard = Guard(FakeEngine(), classifier=Short(), policy=Policy.default())
    assert len(guard.answers([HI, HI])) == 2


def test_a_gated_policy_without_a_classifier_is_refused():
    with pytest.raises(ClassifierError, match="needs a classifier"):
        Guard(FakeEngine(), policy=Policy.default())


def test_without_a_policy_everything_is_decoded_plainly():
    guard = Guard(FakeEngine())
    decision = guard.answer(HI).decision
    assert (decision.action, decision.reason) == ("allow", "no policy: plain decoding")
    assert guard.engine.requests[0].safe_prompt is None


def test_an_ungated_policy_asks_no_classifier():
    failing = FailingClassifier(AssertionError("asked"))
    guard = Guard(FakeEngine(), classifier=failing, policy=Policy.always(0.4))
    assert guard.answer(HI).decision.action == "steer"
    assert guard.engine.requests[0].settings.alpha == 0.4


@pytest.mark.parametrize("messages", [[], [Message("user", "  ")], [Message("user", "a"), Message("assistant", "b")]])
def test_what_cannot_be_answered_is_refused_before_anything_runs(messages):
    guard = guard_for()
    with pytest.raises(InputError):
        guard.answer(messages)
    with pytest.raises(InputError):
        asyncio.run(guard.aanswer(messages))
    assert guard.engine.requests == []


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_is_judged_is_what_is_answered_even_if_the_callers_list_changes_meanwhile(asynchronous):
    messages = list(HI)

    class Meddling(FakeClassifier):
        def classify(self, judged):
            messages[0] = Message("user", "something else")
            return super().classify(judged)

    guard = Guard(FakeEngine(), classifier=Meddling(), policy=Policy.default())
    answer = asyncio.run(guard.aanswer(messages)) if asynchronous else guard.answer(messages)
    assert guard.engine.requests[0].messages == tuple(HI)
    assert answer.decision.messages_digest == digest(HI)


def test_a_caller_cannot_choose_alpha_or_horizon():
    guard = guard_for(hate=0.9)
    guard.answer(HI, options=GenerationOptions(RoseSettings(alpha=0.0, horizon=1, temperature=0.7)))
    (request,) = guard.engine.requests
    assert (request.settings.alpha, request.settings.horizon, request.settings.temperature) == (ALPHA, None, 0.7)


async def test_async_decides_and_answers_as_sync():
    guard = guard_for(hate=0.9)
    one, other = guard.answer(HI), await guard.aanswer(HI)
    assert (one.text, one.decision.branches) == (other.text, other.decision.branches)
    assert guard.engine.requests[0] == guard.engine.requests[1]


def test_every_piece_carries_the_decision_it_was_given_under():
    pieces = list(guard_for(hate=0.9).stream(HI))
    assert [piece.text for piece in pieces] == ["one ", "two ", "three"]
    assert len({piece.decision.decision_id for piece in pieces}) == 1


def test_a_decision_names_policy_and_messages_by_digest():
    decision = guard_for().decide(HI)
    assert decision.policy_digest == Policy.default().digest
    assert decision.messages_digest == digest(HI)


def test_neither_decisions_nor_errors_show_prompts():
    guard = guard_for(BLOCKING, hate=0.9)
    secret = [Message("user", "my secret words")]
    with pytest.raises(PolicyViolation) as caught:
        guard.answer(secret)
    steered = guard_for(hate=0.9)
    shown = str(caught.value) + repr(steered.decide(secret)) + repr(steered.answer(secret).decision)
    assert "secret" not in shown
    assert Policy.default().reverse_prompt("hate")[:20] not in shown


def test_many_conversations_are_answered_each_as_alone():
    guard = guard_for()
    many = guard.answers([HI, [Message("user", "Bye")]])
    assert [[answer.text for answer in answers] for answers in many] == [["one two three"]] * 2
    assert [request.messages[0].content for request in guard.engine.requests] == ["Hi", "Bye"]


async def test_a_blocked_conversation_among_many_raises_its_own_error_sync_and_async():
    guard = guard_for(BLOCKING, hate=0.9)
    with pytest.raises(PolicyViolation):
        guard.answers([HI, HI])
    with pytest.raises(PolicyViolation):
        await guard.aanswers([HI, HI])
    assert guard.engine.requests == []


def test_a_refusal_is_given_as_often_as_answers_are_asked_for():
    policy = Policy.from_yaml("version: 1\nhazards:\n  hate: {action: refuse}")
    (answers,) = guard_for(policy, hate=0.9).answers([HI], options=GenerationOptions(n=3))
    assert len({answer.text for answer in answers}) == 1
    assert len(answers) == 3


class Stream:
    """Deltas that are all there; fails, or ends."""

    def __init__(self, *, fails=False):
        self.fails, self.closed, self.left = fails, False, [Delta("a", "stop", Usage(1, 1))]

    def __next__(self):
        if self.fails:
            raise DecodingError("no")
        if not self.left:
            raise StopIteration
        return self.left.pop()

    def close(self):
        self.closed = True


def test_where_one_of_many_fails_all_are_closed():
    guard, streams = guard_for(), [Stream(), Stream(fails=True), Stream()]
    guard.engine.streams = lambda _: streams
    with pytest.raises(DecodingError):
        guard.answers([HI] * 3)
    assert [stream.closed for stream in streams] == [True] * 3


async def test_where_one_of_many_fails_the_others_are_cancelled():
    class Endless(FakeEngine):
        async def astream(self, request):
            self.requests.append(request)
            if len(self.requests) == 2:
                raise DecodingError("no")
            for _ in range(200):
                await asyncio.sleep(0.01)
                self.open += 1
                yield Delta("word ", tokens=1)

    guard = Guard(Endless())
    with pytest.raises(DecodingError, match="no"):
        await guard.aanswers([HI] * 3)
    assert guard.engine.open < 200


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_live_policy_for_another_classifier_answers_nothing_until_the_guard_is_made_anew(
    asynchronous, tmp_path
):
    file = tmp_path / "policy.yaml"
    file.write_text("version: 1")
    policy = LivePolicy(file, check_every_s=0)
    guard = Guard(FakeEngine(), classifier=FakeClassifier(), policy=policy)
    assert guard.answer(HI).text
    file.write_text("version: 1\nclassifier: {name: another}")
    while policy.current.classifier != "another":  # noqa: ASYNC110 - a live policy tells nobody
        await asyncio.sleep(0.01)
    with pytest.raises(ClassifierError, match="another classifier"):
        await guard.aanswer(HI) if asynchronous else guard.answer(HI)
    assert len(guard.engine.requests) == 1
