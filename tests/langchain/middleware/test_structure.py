"""Agents that answer in structure: it is given as ever, and a refusal is a refusal, whoever refuses."""

import pytest
from langchain.agents.middleware import ModelFallbackMiddleware
from langchain.agents.structured_output import ProviderStrategy, StructuredOutputError, ToolStrategy
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from rose_guard import GuardedChatModel, PolicyViolation
from rose_guard.message import ToolCall
from tests.guard.fakes import FakeAnswerClassifier, FakeClassifier
from tests.langchain.middleware.agents import (
    CHECKING,
    EITHER,
    NO,
    POLICY,
    Foreign,
    Wordy,
    agent,
    guard,
    run,
    steered,
    texts,
    user,
)


class Weather(BaseModel):
    """What the weather is like."""

    words: str


SUNNY = '{"words":"sunny"}'
CALLED = AIMessage("", tool_calls=[{"name": "Weather", "args": {"words": "sunny"}, "id": "1"}])
MODELS = {
    "rose": lambda: steered(SUNNY)[0],
    "rose, by a tool": lambda: steered(ToolCall("Weather", SUNNY, "1"))[0],
    "foreign": lambda: Foreign(SUNNY),
    "foreign, by a tool": lambda: Foreign(CALLED),
}
STRATEGIES = {"rose": ProviderStrategy, "foreign": ProviderStrategy}
KINDS = pytest.mark.parametrize("kind", MODELS)


def strategy(kind):
    return STRATEGIES.get(kind, ToolStrategy)(Weather)


@EITHER
@KINDS
async def test_structure_is_given_as_ever(how, kind):
    graph = agent(MODELS[kind](), response_format=strategy(kind))
    assert (await run(graph, user("hello"), how))["structured_response"] == Weather(words="sunny")


@EITHER
@pytest.mark.parametrize("kind", ["rose", "foreign, by a tool"])
async def test_an_agent_finds_out_by_itself_how_to_ask_for_it(how, kind):
    graph = agent(MODELS[kind](), response_format=Weather)
    assert (await run(graph, user("hello"), how))["structured_response"] == Weather(words="sunny")


@pytest.mark.parametrize(("name", "by_format"), [("gpt-5", True), ("nameless", False)])
def test_a_hosted_model_is_asked_in_the_way_that_its_name_tells(name, by_format):
    class Named(Foreign):
        model_name: str = name

    model = Named(SUNNY if by_format else CALLED)
    assert GuardedChatModel(model=model, policy=POLICY, classifier=Wordy()).model_name == name
    assert agent(model, response_format=Weather).invoke(user("hello"))["structured_response"] == Weather(words="sunny")
    ((_, settings),) = model.asked
    assert ("response_format" in settings) is by_format


@EITHER
@KINDS
@pytest.mark.parametrize("fallback", [True, False])
async def test_what_a_models_guard_refuses_is_a_refusal_and_reaches_no_fallback(how, kind, fallback):
    rose = kind.startswith("rose")
    model = steered(SUNNY, policy=POLICY, classifier=Wordy())[0] if rose else MODELS[kind]()
    other = Foreign(SUNNY)
    one = guard(classifier=FakeClassifier() if rose else Wordy())
    chain = [ModelFallbackMiddleware(other), one] if fallback else [one]
    graph = agent(model, *chain, response_format=strategy(kind))
    state = await run(graph, user("a secret" if rose else "something spiteful"), how)
    assert texts(state)[-1] == NO
    assert state.get("structured_response") is None
    assert other.asked == []


@EITHER
async def test_what_is_withheld_while_it_is_written_is_a_refusal(how):
    one = guard(CHECKING, answer_classifier=FakeAnswerClassifier("nasty"))
    graph = agent(steered('{"words": "some nasty news"}')[0], one, response_format=ProviderStrategy(Weather))
    state = await run(graph, user("hello"), how)
    assert "nasty" not in str(state)
    assert texts(state)[-1].strip() == NO
    again = guard(CHECKING, answer_classifier=FakeAnswerClassifier("nasty"), exit_behavior="error")
    graph = agent(steered('{"words": "some nasty news"}')[0], again, response_format=ProviderStrategy(Weather))
    with pytest.raises(PolicyViolation):
        await run(graph, user("hello"), how)


@EITHER
async def test_an_answer_that_is_no_structure_is_still_an_error(how):
    graph = agent(steered("no JSON")[0], response_format=ProviderStrategy(Weather))
    with pytest.raises(StructuredOutputError):
        await run(graph, user("hello"), how)
