"""Whatever model is called knows of the ruling, and what is blocked reaches none."""

import gc
import weakref

import pytest
from langchain.agents.middleware import AgentMiddleware, ModelFallbackMiddleware, ModelRetryMiddleware
from langchain_core.messages import HumanMessage

from rose_guard import (
    LivePolicy,
    Policy,
    PolicyViolation,
    SettingsError,
)
from rose_guard.langchain.middleware import RoseGuardMiddleware
from rose_guard.langchain.middleware.recent import Recent
from tests.guard.fakes import FakeAnswerClassifier, FakeClassifier
from tests.langchain.middleware.agents import (
    CHECKING,
    EITHER,
    NO,
    POLICY,
    Foreign,
    Recorder,
    Wordy,
    agent,
    guard,
    run,
    steered,
    texts,
    user,
)


class Changing(AgentMiddleware):
    """Changes what the model is to read, behind the guard's back."""

    def __init__(self, text):
        self.text = text

    def wrap_model_call(self, request, handler):
        return handler(request.override(messages=[*request.messages, HumanMessage(self.text)]))

    async def awrap_model_call(self, request, handler):
        return await handler(request.override(messages=[*request.messages, HumanMessage(self.text)]))


@EITHER
async def test_changed_messages_are_judged_anew(how):
    model, engine = steered()
    assert texts(await run(agent(model, Changing("a secret"), guard()), user("hello"), how))[-1] == NO
    assert engine.requests == []
    await run(agent(model, Changing("something spiteful"), guard()), user("hello"), how)
    assert engine.requests[0].reverse_prompts


def test_unchanged_messages_are_not():
    wordy = Wordy()
    agent(steered()[0], guard(classifier=wordy)).invoke(user("hello"))
    assert len(wordy.seen) == 1


@EITHER
@pytest.mark.parametrize(("text", "exit_behavior"), [("libel", "end"), ("a secret", "error")])
async def test_what_is_raised_at_the_model_reaches_no_fallback(how, text, exit_behavior):
    model, engine = steered()
    other = Foreign()
    chain = [
        ModelFallbackMiddleware(other), ModelRetryMiddleware(max_retries=2, initial_delay=0), Changing(text),
        guard(exit_behavior=exit_behavior),
    ]  # fmt: skip
    with pytest.raises(PolicyViolation):
        await run(agent(model, *chain), user("hello"), how)
    assert engine.requests == other.asked == []


@EITHER
async def test_what_the_models_own_policy_blocks_is_raised_and_reaches_no_fallback(how):
    model, engine = steered(policy=POLICY, classifier=Wordy())
    other = Foreign()
    chain = [ModelFallbackMiddleware(other), guard(classifier=FakeClassifier())]
    with pytest.raises(PolicyViolation, match="defamation"):
        await run(agent(model, *chain), user("libel"), how)
    assert engine.requests == other.asked == []


@EITHER
async def test_what_is_raised_later_keeps_nothing_of_the_conversation(how):
    class Added(HumanMessage):
        pass

    class Adding(Changing):
        def wrap_model_call(self, request, handler):
            return handler(self._changed(request))

        async def awrap_model_call(self, request, handler):
            return await handler(self._changed(request))

        def _changed(self, request):
            added = Added(self.text)
            held.append(weakref.ref(added))
            return request.override(messages=[*request.messages, added])

    held, one = [], guard()
    with pytest.raises(PolicyViolation):
        await run(agent(steered()[0], Adding("libel"), one), user("hello"), how)
    gc.collect()
    assert [message() for message in held] == [None]


@EITHER
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("text", "error"), [("a secret", None), ("libel", PolicyViolation)])
async def test_what_is_refused_or_blocked_reaches_no_fallback_wherever_the_guard_stands(how, first, text, error):
    model, other = Foreign(RuntimeError("down")), Foreign()
    chain = [ModelFallbackMiddleware(other), guard()]
    graph = agent(model, *(reversed(chain) if first else chain))
    if error is None:
        assert texts(await run(graph, user(text), how))[-1] == NO
    else:
        with pytest.raises(error):
            await run(graph, user(text), how)
    assert model.asked == other.asked == []


@EITHER
async def test_a_fallback_model_is_guarded_too(how):
    model, other = Foreign(RuntimeError("down")), Foreign("nasty news")
    one = guard(CHECKING, answer_classifier=FakeAnswerClassifier("nasty"))
    state = await run(agent(model, ModelFallbackMiddleware(other), one), user("hello"), how)
    assert len(other.asked) == 1
    assert texts(state)[-1] == NO


@EITHER
async def test_an_answer_of_a_model_that_nobody_guards_is_an_error_where_it_should_be_steered(how):
    model, _ = steered()
    model.engine.stream = model.engine.astream = None  # it cannot answer
    graph = agent(model, guard(), ModelFallbackMiddleware(Foreign()))
    with pytest.raises(SettingsError, match="last"):
        await run(graph, user("something spiteful"), how)


def test_a_foreign_model_does_what_the_policy_says_of_models_that_cannot_be_steered():
    def answers(unsteerable):
        policy = Policy.from_yaml(f"version: 1\nunsteerable: {unsteerable}\nhazards: {{hate: {{threshold: 0.5}}}}")
        model, (local, engine) = Foreign("mine"), steered("theirs")
        state = agent(model, guard(policy, local=local)).invoke(user("something spiteful"))
        return texts(state)[-1].strip(), len(model.asked), len(engine.requests)

    refused = Policy.default().message("refusal")
    assert answers("refuse") == (refused, 0, 0)
    assert answers("warn") == ("mine", 1, 0)
    assert answers("route") == ("theirs", 0, 1)


def test_a_foreign_model_is_sent_its_own_messages_tools_and_settings():
    model = Foreign("fine")

    class Settings(AgentMiddleware):
        def wrap_model_call(self, request, handler):
            return handler(request.override(model_settings={"temperature": 0.3}))

    agent(model, Settings(), guard(), tools=[Recorder("sunny").tool], system_prompt="Be kind.").invoke(user("hello"))
    ((messages, settings),) = model.asked
    assert [message.text for message in messages] == ["Be kind.", "hello"]
    assert settings == {"tools": ["look"], "temperature": 0.3}


def test_a_model_that_is_guarded_already_is_not_wrapped_again():
    from rose_guard import GuardedChatModel

    model = Foreign()
    guarded = GuardedChatModel(model=model, policy=POLICY, classifier=(wordy := Wordy()))
    agent(guarded, guard()).invoke(user("hello"))
    assert len(wordy.seen) == len(model.asked) == 1


def test_a_ruling_that_the_process_no_longer_has_is_made_anew():
    class Forgetful(RoseGuardMiddleware):
        """As after an interrupt that another process goes on from."""

        def wrap_model_call(self, request, handler):
            self._bench._rulings = Recent(1)
            return super().wrap_model_call(request, handler)

    model, engine = steered()
    told = agent(model, Forgetful(POLICY, classifier=Wordy())).stream(user("something spiteful"), stream_mode="custom")
    assert [event["stage"] for event in told][:2] == ["input", "model"]
    assert engine.requests[0].reverse_prompts


def test_a_live_policy_counts_as_it_is(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text("version: 1\nhazards: {hate: {threshold: 0.5}}")
    one = guard(LivePolicy(file, check_every_s=0))
    model, engine = steered()
    agent(model, one).invoke(user("something spiteful"))
    file.write_text("version: 1\nhazards: {hate: {threshold: 0.5, action: refuse}}")
    assert (
        agent(model, one).invoke(user("something spiteful"))["messages"][-1].response_metadata["rose"]["action"]
        == "refuse"
    )
    assert len(engine.requests) == 1
