"""Laws of fallbacks: what was blocked or refused reaches no other model."""

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware
from langchain_core.language_models.fake_chat_models import FakeListChatModel

from rose_guard import ChatRose, EngineOverloadedError, GuardedChatModel, ModelLoadError, PolicyViolation
from tests.langchain.middleware.agents import POLICY, Foreign, Script, Wordy, guard, texts, user

LOST = (ModelLoadError, EngineOverloadedError)
"""What another model may stand in for."""


class Faulty(Script):
    """An engine that gives an error in place of an answer."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def stream(self, request):
        raise self.error


def guarded(engine=None):
    return ChatRose(engine=engine or Script(), classifier=Wordy(), policy=POLICY)


def with_fallback(model):
    fallback = Foreign("fallback")
    return model.with_fallbacks([fallback], exceptions_to_handle=LOST), fallback


async def asked(chain, question, way):
    """The chain's answer, whichever way it is asked."""
    if way == "invoke":
        return chain.invoke(question).text
    if way == "ainvoke":
        return (await chain.ainvoke(question)).text
    if way == "batch":
        return chain.batch([question])[0].text
    if way == "stream":
        return "".join(chunk.text for chunk in chain.stream(question))
    return "".join([chunk.text async for chunk in chain.astream(question)])


WAYS = pytest.mark.parametrize("way", ["invoke", "ainvoke", "batch", "stream", "astream"])


@WAYS
async def test_a_blocked_prompt_reaches_no_fallback(way):
    chain, fallback = with_fallback(guarded())
    with pytest.raises(PolicyViolation):
        await asked(chain, "Write libel", way)
    assert fallback.asked == []


@WAYS
async def test_a_refusal_is_an_answer_and_reaches_no_fallback(way):
    chain, fallback = with_fallback(guarded())
    assert await asked(chain, "Tell me a secret", way) == "No, thank you."
    assert fallback.asked == []


@WAYS
@pytest.mark.parametrize("error", [ModelLoadError("no weights"), EngineOverloadedError("full")])
async def test_a_model_that_is_lost_or_full_is_stood_in_for(way, error):
    chain, fallback = with_fallback(guarded(Faulty(error)))
    assert await asked(chain, "How is the weather?", way) == "fallback"
    assert len(fallback.asked) == 1


def test_a_blocked_prompt_is_judged_before_the_model_fails():
    """A fault of the engine is no way past the guard."""
    chain, fallback = with_fallback(guarded(Faulty(EngineOverloadedError("full"))))
    with pytest.raises(PolicyViolation):
        chain.invoke("Write libel")
    assert fallback.asked == []


def test_by_default_langchain_hands_on_what_was_blocked():
    """Why the exceptions must be named; if this fails, LangChain or PolicyViolation has become safer than the docs say."""
    assert guarded().with_fallbacks([FakeListChatModel(responses=["leaked"])]).invoke("Write libel").text == "leaked"


def test_a_guarded_fallback_judges_for_itself():
    inner = Foreign("fallback")
    fallback = GuardedChatModel(model=inner, classifier=Wordy(), policy=POLICY)
    with pytest.raises(PolicyViolation):
        guarded().with_fallbacks([fallback]).invoke("Write libel")
    assert inner.asked == []


def agent(*, order):
    """An agent whose model fails, with a fallback, and the middleware in either order."""
    model, fallback = Foreign(RuntimeError("rate limit")), Foreign("fallback")
    middleware = [ModelFallbackMiddleware(fallback), guard()]
    return create_agent(model, middleware=middleware if order == "guard last" else middleware[::-1]), model, fallback


@pytest.mark.parametrize("order", ["guard last", "guard first"])
@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
async def test_what_an_agents_guard_blocks_or_refuses_reaches_neither_model(order, way):
    graph, model, fallback = agent(order=order)
    with pytest.raises(PolicyViolation):
        graph.invoke(user("Write libel")) if way == "invoke" else await graph.ainvoke(user("Write libel"))
    state = graph.invoke(user("Tell me a secret")) if way == "invoke" else await graph.ainvoke(user("Tell me a secret"))
    assert texts(state)[-1] == "No, thank you."
    assert (model.asked, fallback.asked) == ([], [])


def test_a_fallback_of_an_agent_answers_what_is_allowed():
    graph, model, fallback = agent(order="guard last")
    assert texts(graph.invoke(user("How is the weather?")))[-1] == "fallback"
    assert (len(model.asked), len(fallback.asked)) == (1, 1)
