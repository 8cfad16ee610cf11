"""Laws of streaming and batching: every way to ask is the same answer, and many questions are one batch."""

import asyncio

import pytest
from langgraph.graph import MessagesState, StateGraph

from rose_guard import ChatRose, Policy
from rose_guard.guard.ruling import Ruling
from tests.guard.fakes import FakeAnswerClassifier, FakeClassifier, FakeEngine
from tests.policy.random_policies import assessment

CHECKING = Policy.from_yaml("version: 1\noutput: {enabled: true, window_tokens: 8, hold_back_tokens: 1}")
STEERED = {"hate": 0.9}
REFUSED = {"suicide_self_harm": 0.95}


def checked(*answers):
    return ChatRose(
        engine=FakeEngine(*answers),
        classifier=FakeClassifier(),
        answer_classifier=FakeAnswerClassifier("bad"),
        policy=CHECKING,
    )


async def texts_of(llm, question="Hi"):
    """What reaches a reader, by each way to stream."""
    yield "stream", "".join(chunk.content for chunk in llm.stream(question))
    yield "astream", "".join([chunk.content async for chunk in llm.astream(question)])
    v2 = [event async for event in llm.astream_events(question, version="v2")]
    yield "v2", "".join(event["data"]["chunk"].content for event in v2 if event["event"] == "on_chat_model_stream")
    yield "v3", "".join(llm.stream_events(question, version="v3").text)
    yield "v3 async", "".join([text async for text in (await llm.astream_events(question, version="v3")).text])
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [llm.invoke(state["messages"])]})
    graph.set_entry_point("model")
    app = graph.compile()
    messages = [("user", question)]
    chunks = app.stream({"messages": messages}, stream_mode="messages")
    yield "messages", "".join(chunk.content for chunk, _ in chunks)


@pytest.mark.filterwarnings("ignore:.*in beta")
@pytest.mark.parametrize("scores", [{}, STEERED, REFUSED], ids=["allow", "steer", "refuse"])
async def test_every_way_to_stream_gives_the_same_text(tiny_engine, scores):
    llm = ChatRose(engine=tiny_engine, classifier=FakeClassifier(**scores), max_tokens=8)
    expected = llm.invoke("Hi").content
    async for way, text in texts_of(llm):
        assert text == expected, way


@pytest.mark.filterwarnings("ignore:.*in beta")
async def test_no_unchecked_text_is_released_in_any_way():
    async for way, text in texts_of(checked("a b bad c")):
        assert "bad" not in text, way
        assert text.startswith("a b"), way
        assert CHECKING.message("refusal") in text, way


def test_a_batch_is_one_batch_of_the_engine(tiny_engine, always):
    llm = ChatRose(engine=tiny_engine, policy=always, max_tokens=8)
    questions = ["Hi", "Ho", "He", "Ha"]
    alone = [llm.invoke(question).content for question in questions]
    before = tiny_engine.stats().clock.steps
    alone_again = [llm.invoke(question).content for question in questions]
    one_by_one = tiny_engine.stats().clock.steps - before
    for ask in (lambda: llm.batch(questions), lambda: asyncio.run(llm.abatch(questions))):
        before = tiny_engine.stats().clock.steps
        assert [message.content for message in ask()] == alone == alone_again
        assert tiny_engine.stats().clock.steps - before < one_by_one


@pytest.mark.parametrize("own", [None, "default"])
def test_a_ruling_tightens_a_call_and_never_loosens_it(tiny_engine, own):
    policy = Policy.default()

    def ask(ruled, **scores):
        llm = ChatRose(engine=tiny_engine, classifier=FakeClassifier(**scores), policy=own, max_tokens=4)
        ruling = Ruling(policy.decide(assessment(**ruled), "other messages"), policy)
        return llm.invoke("Hi", ruling=ruling).response_metadata["rose"]["action"]

    assert ask(REFUSED) == "refuse"
    assert ask(STEERED) == "steer"
    assert ask({}, **REFUSED) == ("refuse" if own else "allow")
