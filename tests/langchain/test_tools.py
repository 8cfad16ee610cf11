"""Laws of tools: what is forced is well-formed, whatever the model's weights, and however the answer is asked for."""

import json
from typing import Annotated

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from rose_guard import ChatRose, InputError, ModelLoadError, Policy, SettingsError, TruncatedAnswerError
from rose_guard.engines import Contrast, Delta, Timing, Usage
from rose_guard.engines.transformers import TransformersEngine
from rose_guard.langchain import structure
from rose_guard.message import ToolCall
from tests.engines.answers import OPENED, WITH_CALLS, tokenizer_with
from tests.guard.fakes import FakeClassifier, FakeEngine
from tests.tiny import tiny_model

ASK = "What is the weather in Paris?"


@tool
def get_weather(city: Annotated[str, Field(max_length=8)], days: Annotated[int, Field(ge=0, le=99)]) -> str:
    """Says the weather."""
    return f"{city}: rain for {days} days"


class Alarm(BaseModel):
    """Sets an alarm."""

    hour: int


@pytest.fixture
def llm(roomy_engine):
    return ChatRose(engine=roomy_engine, policy=None, max_tokens=200)


@pytest.fixture
def steered(roomy_engine, always):
    return ChatRose(engine=roomy_engine, policy=always, max_tokens=200, expose="debug")


class CallingEngine(FakeEngine):
    """Answers with these deltas."""

    def __init__(self, *deltas, finish="stop"):
        super().__init__()
        self._given, self._finish = deltas, finish

    def _deltas(self, request, answer):
        yield from self._given
        yield Delta("", self._finish, Usage(7, 3), Contrast(0, 0), Timing(), tokens=1, prompt_tokens=7)


CALLS = [
    Delta("Let me see.", tokens=3),
    Delta("", tool_calls=(ToolCall("get_weather", '{"city": "Paris"}'),), tokens=9),
    Delta("", tool_calls=(ToolCall("Alarm", '{"hour": 7}'),), tokens=9),
]


def calling(*deltas, finish="stop", policy=None, **scores):
    engine = CallingEngine(*deltas, finish=finish)
    return ChatRose(engine=engine, policy=policy, classifier=FakeClassifier(**scores))


def told(message):
    """All of a message but its random ids."""
    calls = [(call["name"], call["args"]) for call in message.tool_calls]
    invalid = [call["args"] for call in message.invalid_tool_calls]
    return message.content, calls, invalid, message.additional_kwargs, message.usage_metadata


async def asked_in_all_ways(llm, messages, **settings):
    yield llm.invoke(messages, **settings)
    yield await llm.ainvoke(messages, **settings)
    yield sum_of(llm.stream(messages, **settings))
    yield sum_of([chunk async for chunk in llm.astream(messages, **settings)])
    yield llm.batch([messages], **settings)[0]


def sum_of(chunks):
    first, *rest = chunks
    for chunk in rest:
        first += chunk
    return first


@pytest.mark.parametrize("choice", ["any", "get_weather", "required", True, {"function": {"name": "get_weather"}}])
async def test_a_forced_call_is_well_formed_and_steered_at_every_token(steered, choice):
    bound = steered.bind_tools([get_weather], tool_choice=choice)
    async for message in asked_in_all_ways(bound, ASK, seed=1, temperature=1.0):
        (call,) = message.tool_calls
        assert call["name"] == "get_weather"
        assert isinstance(get_weather.invoke(call["args"]), str)
        assert message.content == ""
        assert message.response_metadata["finish_reason"] == "tool_calls"
        assert (
            message.response_metadata["rose"]["contrast"]["contrasted_tokens"]
            == message.usage_metadata["output_tokens"]
        )


async def test_however_it_is_asked_the_message_is_the_same():
    llm = calling(*CALLS, Delta("", broken_call='{"name": "x'), Delta("", reasoning="hm"))
    expected = (
        "Let me see.",
        [("get_weather", {"city": "Paris"}), ("Alarm", {"hour": 7})],
        ['unreadable: {"name": "x'],
    )
    async for message in asked_in_all_ways(llm, ASK):
        assert told(message)[:3] == expected
        assert message.additional_kwargs == {"reasoning_content": "hm"}
        assert message.response_metadata["finish_reason"] == "tool_calls"
        assert len({call["id"] for call in message.tool_calls}) == 2


@pytest.mark.parametrize("stop", [None, ["<"], ["e"]])
@pytest.mark.parametrize("template", [OPENED, WITH_CALLS], ids=["thoughts", "calls"])
@pytest.mark.parametrize("tags", ["added", "special"])
async def test_what_a_random_model_makes_of_tags_is_the_same_however_it_is_asked(always, tags, template, stop):
    tokenizer = tokenizer_with(template, tags)
    model = tiny_model(len(tokenizer), context=4096)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    engine, often = TransformersEngine(model, tokenizer), dict.fromkeys(range(259, len(tokenizer)), 6.0)
    llm = ChatRose(engine=engine, policy=always, max_tokens=40, logit_bias=often, temperature=1.5)
    for seed in range(3):
        bound = llm.bind_tools([get_weather], on_length="return")
        first, *others = [told(message) async for message in asked_in_all_ways(bound, ASK, seed=seed, stop=stop)]
        assert others == [first] * len(others)


def test_a_key_that_is_written_twice_streams_as_it_was_read():
    llm = calling(Delta("", tool_calls=(ToolCall("get_weather", '{"city": "first", "city": "last"}'),)))
    streamed = sum_of(llm.stream(ASK))
    assert "first" not in str(streamed)
    assert streamed.tool_calls[0]["args"] == {"city": "last"} == llm.invoke(ASK).tool_calls[0]["args"]


def test_thoughts_are_a_block_of_their_own():
    blocks = calling(Delta("", reasoning="hm"), Delta("Rain.")).invoke(ASK).content_blocks
    assert [block["type"] for block in blocks] == ["reasoning", "text"]


async def test_a_call_that_the_limit_cuts_off_is_an_error_however_it_is_asked():
    llm = calling(Delta("", broken_call='{"name": "get'), finish="length")
    with pytest.raises(TruncatedAnswerError, match="max_tokens = 256"):
        llm.invoke(ASK)
    with pytest.raises(TruncatedAnswerError):
        await llm.ainvoke(ASK)
    with pytest.raises(TruncatedAnswerError):
        list(llm.stream(ASK))
    with pytest.raises(TruncatedAnswerError):
        _ = [chunk async for chunk in llm.astream(ASK)]


def test_text_that_the_limit_cuts_off_is_no_error():
    llm = calling(Delta("Once upon"), finish="length").bind_tools([get_weather])
    assert llm.invoke(ASK).response_metadata["finish_reason"] == "length"


def test_a_forced_call_without_room_is_an_error(llm):
    with pytest.raises(TruncatedAnswerError):
        llm.bind_tools([get_weather], tool_choice="any").invoke(ASK, max_tokens=5)


def test_the_model_is_told_of_the_tools_and_of_none_where_none_may_be_called():
    llm = calling(Delta("Rain."))
    llm.bind_tools([get_weather, Alarm]).invoke(ASK)
    llm.bind_tools([get_weather, Alarm], tool_choice="none").invoke(ASK)
    chosen, none = llm.engine.requests
    assert [tool.name for tool in chosen.tools] == ["get_weather", "Alarm"]
    assert chosen.tools[0].parameters["properties"]["days"]["type"] == "integer"
    assert none.tools == ()
    assert none.constraint is None


@pytest.mark.parametrize("choice", ["no_such_tool", {"type": "function", "function": {"name": "no_such_tool"}}])
def test_a_choice_that_names_no_tool_is_refused_when_it_is_bound(llm, choice):
    with pytest.raises(SettingsError, match="no_such_tool"):
        llm.bind_tools([get_weather], tool_choice=choice)


def test_a_call_is_asked_for_only_where_there_are_tools(llm):
    with pytest.raises(SettingsError, match="no tools"):
        llm.invoke(ASK, tool_choice="any")


def test_without_the_extra_a_forced_call_is_an_error_that_names_it_and_a_free_one_is_not(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "llguidance", None)
    monkeypatch.setattr(structure, "find_spec", lambda _: None)
    llm = calling(*CALLS)
    assert len(llm.bind_tools([get_weather]).invoke(ASK).tool_calls) == 2
    with pytest.raises(ModelLoadError, match=r"rose-guard\[grammar\]"):
        llm.bind_tools([get_weather], tool_choice="any").invoke(ASK)


def test_a_refusal_calls_nothing():
    llm = calling(*CALLS, policy="default", suicide_self_harm=0.95).bind_tools([get_weather], tool_choice="any")
    message = llm.invoke(ASK)
    assert message.content == Policy.default().message("crisis")
    assert message.tool_calls == []
    assert message.response_metadata["finish_reason"] == "content_filter"


def test_calls_and_results_of_earlier_turns_reach_the_model_and_the_classifier():
    llm = calling(Delta("It rains."))
    call = {"name": "get_weather", "args": {"city": "Zürich"}, "id": "c1", "type": "tool_call"}
    history = [
        HumanMessage(ASK),
        AIMessage("", tool_calls=[call]),
        ToolMessage("rain", name="get_weather", tool_call_id="c1"),
    ]
    llm.invoke(history)
    _, said, result = llm.engine.requests[0].messages
    assert said.tool_calls == (ToolCall("get_weather", json.dumps({"city": "Zürich"}, ensure_ascii=False), "c1"),)
    assert (result.role, result.content, result.tool_call_id) == ("tool", "rain", "c1")


def test_blocks_of_calls_and_thoughts_are_read_from_where_langchain_keeps_them():
    llm = calling(Delta("It rains."))
    blocks = [
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {"city": "Paris"}},
    ]
    call = {"name": "get_weather", "args": {"city": "Paris"}, "id": "c1", "type": "tool_call"}
    llm.invoke([HumanMessage(ASK), AIMessage(blocks, tool_calls=[call]), ToolMessage("rain", tool_call_id="c1")])
    said = llm.engine.requests[0].messages[1]
    assert said.content == "Let me see."
    assert [call.name for call in said.tool_calls] == ["get_weather"]


@pytest.mark.parametrize("kind", ["image", "image_url", "audio", "file", "video", "tool_result"])
def test_what_is_no_text_is_refused_by_name(llm, kind):
    with pytest.raises(InputError, match=kind):
        llm.invoke([HumanMessage([{"type": "text", "text": "Look:"}, {"type": kind, "url": "x"}])])


def test_counted_tokens_are_those_that_the_model_reads(llm):
    messages = [HumanMessage(ASK)]
    for tools in ([], [get_weather]):
        answered = llm.bind_tools(tools).invoke(messages, max_tokens=1) if tools else llm.invoke(messages, max_tokens=1)
        assert llm.get_num_tokens_from_messages(messages, tools=tools) == answered.usage_metadata["input_tokens"]


def test_a_call_may_name_the_model_that_there_is_and_no_other(llm):
    assert llm.invoke(ASK, model=llm._model_name, max_tokens=2)
    with pytest.raises(SettingsError, match="cannot load another"):
        llm.invoke(ASK, model="gpt-4")


def test_the_profile_tells_agents_what_the_model_can_do(llm):
    assert llm.profile["max_input_tokens"] == 4096
    assert llm.profile["tool_calling"]
    assert llm.profile["structured_output"]
    assert not llm.profile["image_inputs"]
