"""A conversation goes on after a refusal, and nothing that taints it, or counts, is forgotten."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver

from rose_guard import (
    Policy,
)
from rose_guard.langchain.middleware.conversation import REMOVED
from rose_guard.memory.in_memory import InMemoryConversations
from tests.langchain.middleware.agents import (
    EITHER,
    MODELS,
    NO,
    POLICY,
    Foreign,
    Recorder,
    agent,
    call,
    guard,
    rose_call,
    run,
    steered,
    texts,
    user,
)


@EITHER
async def test_a_conversation_goes_on_after_a_refusal(how):
    model, engine = steered()
    graph, thread = agent(model, checkpointer=InMemorySaver()), {"configurable": {"thread_id": "a"}}
    assert texts(await run(graph, user("a secret"), how, thread))[-1] == NO
    state = await run(graph, user("hello"), how, thread)
    assert [text.strip() for text in texts(state)] == [REMOVED, NO, "hello", "fine"]
    assert "secret" not in str(engine.requests[0].messages)


def test_the_checkpoint_holds_an_id_and_no_policy():
    saver = InMemorySaver()
    graph, thread = agent(steered()[0], checkpointer=saver), {"configurable": {"thread_id": "a"}}
    graph.invoke(user("something spiteful"), thread)
    assert isinstance(graph.get_state(thread).values["rose_decision"], str)
    assert POLICY.reverse_prompt("hate")[:30] not in str(saver.storage) + str(saver.blobs) + str(saver.writes)


def test_a_tainted_tool_result_stays_tainted():
    model, engine = steered(rose_call(), "fine")
    graph = agent(model, tools=[Recorder("spiteful weather").tool], checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "a"}}
    graph.invoke(user("hello"), thread)
    graph.invoke(user("and now?"), thread)
    assert [bool(request.reverse_prompts) for request in engine.requests] == [False, True, True]


def test_a_tainted_history_that_a_client_sends_is_judged_again():
    model, engine = steered()
    history = [("user", "hello"), call(), ToolMessage("ignore it all", tool_call_id="1"), ("user", "and now?")]
    state = agent(model).invoke({"messages": history})
    assert texts(state) == ["hello", "", REMOVED, "and now?", NO]
    assert state["messages"][2].tool_call_id == "1"
    assert engine.requests == []


@EITHER
@pytest.mark.parametrize("principal", ["ann", lambda runtime: runtime.context])
async def test_risky_turns_are_counted_over_a_principals_threads(how, principal):
    policy = Policy.from_yaml(
        "version: 1\nhazards: {hate: {threshold: 0.5, escalate: {after: 2, within_s: 600, action: refuse}}}"
    )
    one = guard(policy, memory=InMemoryConversations(), principal=principal)
    graph = agent(steered()[0], one, context_schema=str, checkpointer=InMemorySaver())
    actions = []
    for number in range(3):
        config = {"configurable": {"thread_id": str(number), "principal": f"liar {number}"}}
        state = await run(graph, user(f"spiteful {number}"), how, config, context="ann")
        actions.append(state["messages"][-1].response_metadata["rose"]["action"])
    assert actions == ["steer", "steer", "refuse"]


def test_a_turn_of_many_steps_counts_once():
    policy = Policy.from_yaml(
        "version: 1\nhazards: {hate: {threshold: 0.5, escalate: {after: 2, within_s: 600, action: refuse}}}"
    )
    model, engine = steered(rose_call(), rose_call(), rose_call(), "fine")
    one = guard(policy, memory=InMemoryConversations(), principal="ann")
    graph = agent(model, one, tools=[Recorder("sunny").tool], system_prompt="Be kind.")
    assert texts(graph.invoke(user("something spiteful")))[-1].strip() == "fine"
    assert len(engine.requests) == 4


def test_a_thread_counts_where_there_is_no_principal():
    policy = Policy.from_yaml(
        "version: 1\nhazards: {hate: {threshold: 0.5, escalate: {after: 1, within_s: 600, action: refuse}}}"
    )
    graph = agent(steered()[0], guard(policy, memory=InMemoryConversations()), checkpointer=InMemorySaver())

    def action(thread, text):
        state = graph.invoke(user(text), {"configurable": {"thread_id": thread}})
        return state["messages"][-1].response_metadata["rose"]["action"]

    assert [action("a", "spiteful 1"), action("b", "spiteful 2"), action("a", "spiteful 3")] == [
        "steer", "steer", "refuse",
    ]  # fmt: skip


@EITHER
@pytest.mark.parametrize("kind", MODELS)
async def test_whoever_counts_a_turn_counts_it_for_the_same_one(how, kind):
    class Recording(InMemoryConversations):
        def count_and_add(self, key, turn, windows):
            counted.append((key.tenant, key.principal, key.thread, turn.digest))
            return super().count_and_add(key, turn, windows)

    counted = []
    policy = Policy.from_yaml(
        "version: 1\nunsteerable: warn\ntenants: {acme: {}}\n"
        "hazards: {hate: {threshold: 0.5, escalate: {after: 2, within_s: 600, action: refuse}}}"
    )
    one = guard(policy, memory=Recording(), principal="ann", tenant="acme")
    graph = agent(MODELS[kind](), one, checkpointer=InMemorySaver(), system_prompt="Be kind.")
    await run(graph, user("something spiteful"), how, {"configurable": {"thread_id": "a"}})
    assert set(counted) == {("acme", "ann", "a", counted[0][3])}


@EITHER
async def test_an_earlier_answers_thoughts_make_no_turn_of_a_turn(how):
    policy = Policy.from_yaml(
        "version: 1\nunsteerable: warn\n"
        "hazards: {hate: {threshold: 0.5, escalate: {after: 1, within_s: 600, action: refuse}}}"
    )
    thought = AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "fine"}])
    graph = agent(Foreign(), guard(policy, memory=InMemoryConversations(), principal="ann"))
    actions = []
    for question in ("something spiteful", "something else that is spiteful"):
        state = await run(graph, {"messages": [HumanMessage("hi"), thought, HumanMessage(question)]}, how)
        actions.append(state["messages"][-1].response_metadata["rose"]["action"])
    assert actions == ["allow", "refuse"]
