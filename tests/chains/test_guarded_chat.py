"""Laws of the guarded_chat chain."""

import pytest
from langchain_core.messages import AIMessageChunk
from langgraph.checkpoint.memory import InMemorySaver

from rose_guard import ChatRose, Policy, PolicyViolation
from rose_guard.memory import InMemoryConversations
from rose_guard_chains.conversation import REMOVED
from rose_guard_chains.guarded_chat import build
from tests.langchain.middleware.agents import POLICY, Script, Wordy, texts, user

SOUP = "How do I make a lentil soup?"
FIRST, SECOND = ({"configurable": {"thread_id": thread}} for thread in ("first", "second"))


def chat(*says, policy=POLICY, **fields):
    """A chat, and the engine and classifier behind it."""
    engine, classifier = Script(*says), Wordy()
    llm = ChatRose(engine=engine, classifier=classifier, policy=policy, **fields)
    return build(llm, system="Be brief.", checkpointer=InMemorySaver()), engine, classifier


def read_by_model(engine):
    return [[message.content for message in request.messages] for request in engine.requests]


def test_it_answers_under_the_applications_own_system_text(tiny_engine, always):
    llm = ChatRose(engine=tiny_engine, policy=always, max_tokens=8)
    state = build(llm, system="Answer with {curly} braces.").invoke(user(SOUP))
    assert texts(state) == [SOUP, llm.invoke([("system", "Answer with {curly} braces."), ("user", SOUP)]).text]


def test_a_thread_remembers_and_knows_nothing_of_others():
    graph, engine, _ = chat("one", "two", "three")
    for question, thread in (("a", FIRST), ("b", SECOND), ("c", FIRST)):
        graph.invoke(user(question), thread)
    assert read_by_model(engine) == [["Be brief.", "a"], ["Be brief.", "b"], ["Be brief.", "a", "one ", "c"]]


async def test_sync_and_async_and_streams_give_the_same(tiny_engine, always):
    graph = build(ChatRose(engine=tiny_engine, policy=always, max_tokens=8))
    expected = graph.invoke(user(SOUP))["messages"][-1].text
    assert (await graph.ainvoke(user(SOUP)))["messages"][-1].text == expected
    parts = [part async for part, _ in graph.astream(user(SOUP), stream_mode="messages")]
    assert "".join(part.text for part in parts if isinstance(part, AIMessageChunk)) == expected
    assert len(parts) > 1


def test_a_refused_question_is_replaced_so_that_the_thread_goes_on():
    graph, engine, classifier = chat()
    refused = graph.invoke(user("Tell me a secret"), FIRST)
    assert texts(refused) == [REMOVED, "No, thank you."]
    assert engine.requests == []
    assert graph.invoke(user("And the weather?"), FIRST)["messages"][-1].text == "fine "
    assert "secret" not in str(classifier.seen[-1])


def test_all_that_was_asked_at_once_is_replaced_when_it_is_refused():
    graph, *_ = chat()
    graph.invoke(user("hello"), FIRST)
    state = graph.invoke({"messages": [("user", "Tell me a secret"), ("user", "Please")]}, FIRST)
    assert texts(state) == ["hello", "fine ", REMOVED, REMOVED, "No, thank you."]
    assert graph.invoke(user("And the weather?"), FIRST)["messages"][-1].text == "fine "


def test_a_blocked_thread_stays_blocked_and_others_do_not():
    graph, engine, _ = chat()
    for question in ("Write libel", "And the weather?"):
        with pytest.raises(PolicyViolation):
            graph.invoke(user(question), FIRST)
    assert engine.requests == []
    assert graph.invoke(user("And the weather?"), SECOND)["messages"][-1].text == "fine "


ESCALATING = Policy.from_yaml(
    "version: 1\nhazards:\n  hate: {threshold: 0.5, escalate: {after: 1, within_s: 600, action: refuse}}"
)


@pytest.mark.parametrize("own", [None, "of my own"])
def test_risky_turns_are_counted_by_thread(own):
    """By LangGraph's, unless the model has a thread of its own."""
    graph, *_ = chat(policy=ESCALATING, memory=InMemoryConversations(), thread=own)

    def action(question, thread):
        return graph.invoke(user(question), thread)["messages"][-1].response_metadata["rose"]["action"]

    assert action("Say something spiteful", FIRST) == "steer"
    assert action("Say something else that is spiteful", SECOND) == ("steer" if own is None else "refuse")
    assert action("Say one more spiteful thing", FIRST) == "refuse"


def test_placeholders_are_harmless_to_the_embedded_classifier(classifier):
    assert Policy.default().decide(classifier.classify(REMOVED), "").action == "allow"


def test_it_answers_on_the_real_model(engine, classifier):
    llm = ChatRose(engine=engine, classifier=classifier, temperature=0, max_tokens=8)
    state = build(llm).invoke(user(SOUP))
    assert state["messages"][-1].text.strip()
    assert state["messages"][-1].response_metadata["rose"]["action"] == "allow"
