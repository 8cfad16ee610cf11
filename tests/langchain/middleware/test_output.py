"""Nothing harmful that a model wrote stays in the state, and no tool is called with it."""

import pytest
from langchain.agents.middleware import AgentMiddleware, ModelResponse
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from rose_guard import GuardedChatModel, Policy, PolicyViolation
from tests.guard.fakes import FakeAnswerClassifier
from tests.langchain.middleware.agents import (
    CHECKING,
    EITHER,
    NO,
    POLICY,
    WAYS,
    Foreign,
    Recorder,
    Wordy,
    agent,
    call,
    guard,
    rose_call,
    run,
    steered,
    texts,
    user,
)


class Weather(BaseModel):
    """What the weather is like."""

    words: str


def checked(**kwargs):
    return guard(CHECKING, answer_classifier=FakeAnswerClassifier("nasty"), **kwargs)


@WAYS
@pytest.mark.parametrize("kind", ["rose", "foreign", "own policy"])
async def test_a_harmful_answer_is_not_in_the_state(how, kind):
    model = {
        "rose": lambda: steered("some nasty news")[0],
        "foreign": lambda: Foreign("some nasty news"),
        "own policy": lambda: steered("some nasty news", policy=POLICY, classifier=Wordy())[0],
    }[kind]()
    state = await run(agent(model, checked()), user("hello"), how)
    assert "nasty" not in str(state)
    assert texts(state)[-1].strip() == NO
    assert state["messages"][-1].response_metadata["rose"]["output"]["action"] == "refuse"


@EITHER
@pytest.mark.parametrize("kind", ["rose", "foreign", "own policy"])
async def test_a_harmless_answer_is(how, kind):
    model = {
        "rose": lambda: steered("good news")[0],
        "foreign": lambda: Foreign("good news"),
        "own policy": lambda: steered("good news", policy=POLICY, classifier=Wordy())[0],
    }[kind]()
    assert texts(await run(agent(model, checked()), user("hello"), how))[-1].strip() == "good news"


@pytest.mark.parametrize("kind", ["rose", "foreign"])
def test_what_is_checked_while_it_is_written_is_not_streamed(kind):
    model = steered("some nasty news " * 9)[0] if kind == "rose" else Foreign("some nasty news " * 9)
    chunks = [chunk for chunk, _ in agent(model, checked()).stream(user("hello"), stream_mode="messages")]
    assert "nasty" not in str(chunks)


@pytest.mark.parametrize("kind", ["rose", "foreign"])
@pytest.mark.parametrize(("policy", "check_output", "checks"), [(CHECKING, False, False), (POLICY, True, True)])
def test_the_argument_says_more_than_the_policy(kind, policy, check_output, checks):
    model = steered("nasty news")[0] if kind == "rose" else Foreign("nasty news")
    one = guard(policy, check_output=check_output, answer_classifier=FakeAnswerClassifier("nasty"))
    assert ("nasty" in texts(agent(model, one).invoke(user("hello")))[-1]) is not checks


@EITHER
async def test_a_harmful_answer_is_raised_where_refusals_are_errors(how):
    for model in (steered("nasty news")[0], steered("nasty news", policy=POLICY, classifier=Wordy())[0]):
        with pytest.raises(PolicyViolation):
            await run(agent(model, checked(exit_behavior="error")), user("hello"), how)


def test_structure_made_of_a_withdrawn_answer_is_withdrawn_too():
    made = AIMessage("", tool_calls=[{"name": "Weather", "args": {"words": "nasty news"}, "id": "1"}])

    class Unguarded(AgentMiddleware):
        """Answers in the model's stead, so that nobody checks while it is written."""

        def wrap_model_call(self, request, handler):
            return handler(request.override(model=Foreign(made)))

    one = guard(CHECKING, answer_classifier=Anywhere("nasty"))
    graph = agent(Foreign(), one, Unguarded(), response_format=Weather)
    state = graph.invoke(user("hello"))
    assert texts(state) == ["hello", NO]
    assert state.get("structured_response") is None


class Instead(AgentMiddleware):
    """Answers by itself, so that the guard at the model never sees the answer."""

    def __init__(self, *result, structure=None):
        self.response = ModelResponse(list(result), structure)

    def wrap_model_call(self, request, handler):
        return self.response

    async def awrap_model_call(self, request, handler):
        return self.response


@EITHER
async def test_an_answer_that_never_came_by_the_model_is_withdrawn_with_what_was_made_of_it(how):
    made = AIMessage("", tool_calls=[{"name": "Weather", "args": {"words": "nasty news"}, "id": "1"}])
    for result in ([AIMessage("some nasty news")], [made, ToolMessage("nasty news", tool_call_id="1")]):
        other = Instead(*result, structure=Weather(words="nasty news"))
        one = guard(CHECKING, answer_classifier=Anywhere("nasty"))
        state = await run(agent(Foreign(), other, one, response_format=Weather), user("hello"), how)
        assert texts(state) == ["hello", NO]
        assert state.get("structured_response") is None


LAX = "version: 1\n{}hazards: {{hate: {{threshold: 0.5}}}}\noutput: {{enabled: true, threshold: {}}}"


@EITHER
@pytest.mark.parametrize("exit_behavior", ["end", "error"])
@pytest.mark.parametrize(
    "own", [POLICY, Policy.from_yaml(LAX.format("", 0.95)), Policy.from_yaml(LAX.format("mode: shadow\n", 0.5))],
    ids=["no check", "lax check", "shadow check"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["rose", "foreign", "cut by its provider"])
async def test_a_model_with_a_policy_of_its_own_is_checked_by_the_guards_too(how, exit_behavior, own, kind):
    """Before the answer comes into the state, where checkpoints and streams would show it."""
    fakes = {"policy": own, "classifier": Wordy(), "answer_classifier": FakeAnswerClassifier("nasty")}
    cut = AIMessage("some nasty news", response_metadata={"finish_reason": "content_filter"})
    inner = Foreign("some nasty news" if kind == "foreign" else cut)
    model = steered("some nasty news", **fakes)[0] if kind == "rose" else GuardedChatModel(model=inner, **fakes)
    graph = agent(model, checked(exit_behavior=exit_behavior), checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    if exit_behavior == "error":
        with pytest.raises(PolicyViolation):
            await run(graph, user("hello"), how, thread)
    else:
        await run(graph, user("hello"), how, thread)
    assert texts(graph.get_state(thread).values) == ["hello", NO]
    assert all("nasty" not in str(each.values) for each in graph.get_state_history(thread))


@EITHER
async def test_an_answer_is_scored_once(how):
    for kind in ("rose", "own policy", "foreign"):
        scored = FakeAnswerClassifier("nasty")
        own = {"policy": POLICY, "classifier": Wordy()} if kind == "own policy" else {}
        model = Foreign("good news") if kind == "foreign" else steered("good news", **own)[0]
        state = await run(agent(model, guard(CHECKING, answer_classifier=scored)), user("hello"), how)
        assert [text.strip() for text in scored.shown] == ["good news"]
        assert state["messages"][-1].response_metadata["rose"]["output"]["action"] == "release"


@EITHER
@pytest.mark.parametrize("kind", ["rose", "own policy", "foreign"])
async def test_a_tool_is_not_called_with_harmful_arguments(how, kind):
    model = {
        "rose": lambda: steered(rose_call("nasty news"), "fine")[0],
        "own policy": lambda: steered(rose_call("nasty news"), "fine", policy=POLICY, classifier=Wordy())[0],
        "foreign": lambda: Foreign(call("nasty news"), "fine"),
    }[kind]()
    recorder = Recorder("sunny")
    one = guard(CHECKING, answer_classifier=Anywhere("nasty"))
    state = await run(agent(model, one, tools=[recorder.tool]), user("hello"), how)
    assert recorder.calls == []
    assert "nasty news" not in str(state)


@EITHER
async def test_arguments_that_were_changed_since_are_checked_again(how):
    class Meddling(AgentMiddleware):
        def wrap_tool_call(self, request, handler):
            return handler(request.override(tool_call={**request.tool_call, "args": {"at": "nasty news"}}))

        async def awrap_tool_call(self, request, handler):
            return await handler(request.override(tool_call={**request.tool_call, "args": {"at": "nasty news"}}))

    model, _ = steered(rose_call(), "fine")
    recorder = Recorder("sunny")
    one = guard(CHECKING, answer_classifier=Anywhere("nasty"))
    state = await run(agent(model, Meddling(), one, tools=[recorder.tool]), user("hello"), how)
    assert recorder.calls == []
    (result,) = [message for message in state["messages"] if isinstance(message, ToolMessage)]
    assert (result.text, result.status) == (NO, "error")
    again = guard(CHECKING, answer_classifier=Anywhere("nasty"), exit_behavior="error")
    with pytest.raises(PolicyViolation):
        await run(agent(steered(rose_call())[0], Meddling(), again, tools=[recorder.tool]), user("hello"), how)


def test_an_answer_that_cannot_be_checked_is_refused():
    model = steered("news", policy=POLICY, classifier=Wordy())[0]
    one = guard(CHECKING, answer_classifier=FakeAnswerClassifier(fault=RuntimeError("boom")))
    assert texts(agent(model, one).invoke(user("hello")))[-1] == NO


def test_thoughts_are_checked():
    thoughtful = AIMessage([{"type": "reasoning", "reasoning": "nasty news"}, {"type": "text", "text": "fine"}])

    class Unguarded(AgentMiddleware):
        def wrap_model_call(self, request, handler):
            return handler(request.override(model=Foreign(thoughtful)))

    assert "nasty" not in str(agent(Foreign(), checked(), Unguarded()).invoke(user("hello")))


class Anywhere(FakeAnswerClassifier):
    """Finds harm where the letters are, JSON or not."""

    def harm(self, text):
        self.shown.append(text)
        return 0.9 if self.word in text else 0.1
