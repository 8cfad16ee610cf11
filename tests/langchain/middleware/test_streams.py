"""What a reader of an agent's streams sees of a refusal."""

import pytest

from rose_guard.langchain.middleware.conversation import REMOVED
from rose_guard.langchain.middleware.events import EVENT
from tests.langchain.middleware.agents import (
    EITHER,
    NO,
    Recorder,
    agent,
    rose_call,
    steered,
    user,
)


def test_modes():
    model, engine = steered()
    modes = ["messages", "updates", "custom"]
    seen = list(agent(model).stream(user("a secret"), stream_mode=modes))
    assert [chunk.text for mode, (chunk, *_) in [each for each in seen if each[0] == "messages"]] == [NO]
    (update,) = [part for mode, part in seen if mode == "updates"]
    assert update["RoseGuardMiddleware.before_model"]["jump_to"] == "end"
    assert "secret" not in str([part for mode, part in seen if mode != "values"])
    assert engine.requests == []


async def test_events_v2():
    model, engine = steered()
    events = [event async for event in agent(model).astream_events(user("a secret"), version="v2")]
    assert not [event for event in events if event["event"].startswith("on_chat_model")]
    assert events[-1]["data"]["output"]["messages"][-1].text == NO
    assert engine.requests == []


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
def test_events_v3():
    model, engine = steered()
    stream = agent(model).stream_events(user("a secret"), version="v3")
    assert [message.text for message in stream.output["messages"]] == [REMOVED, NO]
    assert engine.requests == []


@EITHER
async def test_every_decision_is_told_to_the_custom_stream_without_texts(how):
    model, _ = steered(rose_call(), "fine")
    graph = agent(model, tools=[Recorder("it is spiteful weather").tool])
    if how == "invoke":
        told = list(graph.stream(user("hello"), stream_mode="custom"))
    else:
        told = [event async for event in graph.astream(user("hello"), stream_mode="custom")]
    assert [(event["type"], event["stage"], event["action"]) for event in told] == [
        (EVENT, "input", "allow"),
        (EVENT, "tool_result", "steer"),
        (EVENT, "input", "steer"),
    ]
    assert set(told[0]) == {
        "type", "stage", "decision_id", "action", "hazards", "attacks", "alpha", "reverse_prompts", "policy_digest",
    }  # fmt: skip
    assert "weather" not in str(told)
