"""Nothing that is refused reaches a model, whoever runs the agent how."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from rose_guard import (
    InputError,
    Message,
    Policy,
    PolicyViolation,
)
from rose_guard.langchain.middleware.checks import UNJUDGED_RESULT
from rose_guard.langchain.middleware.conversation import REMOVED, UNCHECKED
from tests.guard.fakes import FailingClassifier, FakeClassifier
from tests.langchain.middleware.agents import (
    EITHER,
    MODELS,
    NO,
    POLICY,
    WAYS,
    Wordy,
    agent,
    call,
    calls_of,
    guard,
    run,
    steered,
    texts,
    user,
)


@WAYS
@pytest.mark.parametrize("kind", MODELS)
async def test_what_is_allowed_is_answered(how, kind):
    model = MODELS[kind]()
    state = await run(agent(model), user("hello"), how)
    assert texts(state)[-1].strip() == "fine"
    assert len(calls_of(model)) == 1


@WAYS
@pytest.mark.parametrize("kind", MODELS)
async def test_a_refusal_ends_the_run_and_the_model_is_not_called(how, kind):
    model = MODELS[kind]()
    state = await run(agent(model), user("tell me a secret"), how)
    assert texts(state) == [REMOVED, NO]
    assert calls_of(model) == []
    metadata = state["messages"][-1].response_metadata
    assert metadata["finish_reason"] == "content_filter"
    assert metadata["rose"]["action"] == "refuse"
    assert metadata["rose"]["hazards"] == ["privacy"]


@EITHER
@pytest.mark.parametrize("exit_behavior", ["end", "error", "replace"])
async def test_a_block_is_always_raised(how, exit_behavior):
    model, engine = steered()
    with pytest.raises(PolicyViolation, match="defamation") as caught:
        await run(agent(model, guard(exit_behavior=exit_behavior)), user("some libel"), how)
    assert "libel" not in str(caught.value)
    assert engine.requests == []


@EITHER
async def test_a_refusal_is_raised_where_it_is_an_error(how):
    model, engine = steered()
    with pytest.raises(PolicyViolation, match="privacy"):
        await run(agent(model, guard(exit_behavior="error")), user("a secret"), how)
    assert engine.requests == []


@EITHER
async def test_replacing_goes_on_without_every_offending_message(how):
    model, engine = steered()
    history = [("user", "a secret"), ("assistant", "well"), ("user", "ignore that"), ("user", "hello")]
    state = await run(agent(model, guard(exit_behavior="replace")), {"messages": history}, how)
    assert texts(state)[:-1] == [REMOVED, "well", REMOVED, "hello"]
    assert [message.content for message in engine.requests[0].messages] == [REMOVED, "well", REMOVED, "hello"]


def test_replacing_ends_where_nothing_can_be_gone_on_with():
    model, engine = steered()
    failing = guard(classifier=FailingClassifier(RuntimeError("boom")), exit_behavior="replace")
    assert texts(agent(model, failing).invoke(user("hello"))) == [REMOVED, NO]
    assert engine.requests == []


def test_a_classifier_that_fails_refuses():
    model, engine = steered()
    state = agent(model, guard(classifier=FailingClassifier(RuntimeError("boom")))).invoke(user("hello"))
    assert texts(state)[-1] == NO
    assert engine.requests == []


def test_a_risk_that_is_to_be_steered_is_steered():
    model, engine = steered()
    state = agent(model).invoke(user("something spiteful"))
    (band,) = Policy.default().rules["hate"].bands
    assert [prompt.weight for prompt in engine.requests[0].reverse_prompts] == [band.alpha]
    assert state["messages"][-1].response_metadata["rose"]["action"] == "steer"


def test_a_bound_chat_rose_steers_too():
    model, engine = steered()
    agent(model.bind(temperature=0.5)).invoke(user("something spiteful"))
    assert engine.requests[0].reverse_prompts
    assert engine.requests[0].settings.temperature == 0.5


def test_a_models_own_policy_still_holds():
    model, engine = steered(policy=POLICY, classifier=Wordy())
    lenient = guard(classifier=FakeClassifier())
    assert texts(agent(model, lenient).invoke(user("a secret")))[-1] == NO
    assert engine.requests == []


def test_the_violation_message_is_said_in_the_policys_stead():
    said = guard(violation_message="Declined, see {decision_id}; {nothing} else.")
    state = agent(steered()[0], said).invoke(user("a secret"))
    rose = state["messages"][-1].response_metadata["rose"]
    assert texts(state) == [f"Declined, see {rose['decision_id']}; {{nothing}} else."] * 2


def test_messages_come_in_the_language():
    policy = Policy.from_yaml("version: 1\nhazards: {hate: {action: refuse}}\nmessages: {refusal: {en: No, de: Nein}}")
    said = guard(policy, classifier=FakeClassifier(hate=0.99), language="de")
    assert texts(agent(steered()[0], said).invoke(user("hello")))[-1] == "Nein"


@pytest.mark.parametrize("where", ["system", "assistant", "tool"])
def test_no_role_hides_a_text(where):
    model, engine = steered()
    history = {
        "system": [SystemMessage("a secret"), HumanMessage("hello")],
        "assistant": [HumanMessage("hello"), AIMessage("a secret"), HumanMessage("and?")],
        "tool": [HumanMessage("hello"), call(), ToolMessage("a secret", tool_call_id="1")],
    }[where]
    assert texts(agent(model).invoke({"messages": history}))[-1] == NO
    assert engine.requests == []


def test_a_system_prompt_that_a_model_without_a_policy_would_read_is_judged():
    model, engine = steered()
    state = agent(model, system_prompt="Keep the secret.").invoke(user("hello"))
    assert texts(state)[-1] == NO
    assert engine.requests == []


@EITHER
async def test_an_image_cannot_be_judged_and_is_said_to_be_so(how):
    image = HumanMessage([{"type": "image", "url": "https://example.com/a.png"}])
    with pytest.raises(InputError, match="image"):
        await run(agent(steered()[0]), {"messages": [image]}, how)


def test_what_is_not_to_be_checked_is_not():
    model, engine = steered()
    unchecked = guard(check_input=False, check_tool_results=False, classifier=(wordy := Wordy()))
    agent(model, unchecked).invoke(user("a secret"))
    assert len(engine.requests) == 1
    assert {message.content for seen in wordy.seen for message in seen} == {UNCHECKED}


def test_what_stands_in_place_of_a_refused_message_is_harmless_to_the_embedded_classifier(classifier):
    """Else a conversation could never go on after a refusal."""
    policy = Policy.default()

    def action(*messages):
        return policy.decide(classifier.classify([*messages, Message("user", "hello")]), "digest").action

    for text in (REMOVED, UNCHECKED):
        assert action(Message("user", text)) == "allow"
    for text in (REMOVED, UNCHECKED, UNJUDGED_RESULT, policy.message("refusal")):
        assert action(Message("user", "hello"), Message("tool", text)) == "allow"
    for message in policy.messages:
        assert action(Message("user", REMOVED), Message("assistant", policy.message(message))) == "allow"


@EITHER
async def test_a_conversation_full_of_what_is_refused_is_judged_a_few_times_only(how):
    model, engine = steered()
    graph = agent(model, guard(classifier=(wordy := Wordy()), exit_behavior="replace"))
    state = await run(graph, {"messages": [("user", "ignore it")] * 60}, how)
    assert texts(state)[-1] == NO
    assert engine.requests == []
    assert len(wordy.seen) < 10
