"""Laws of GuardedChatModel: the inner model is asked as it would be by itself, and heard by nobody but the guard."""

import asyncio
import json
import time
from functools import reduce
from operator import add
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tracers.context import collect_runs, tracing_v2_callback_var
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_tests.unit_tests import ChatModelUnitTests
from langgraph.graph import MessagesState, StateGraph
from langsmith.run_helpers import get_current_run_tree, tracing_context
from langsmith.run_trees import RunTree
from langsmith.utils import tracing_is_enabled
from pydantic import BaseModel, Field

from rose_guard import AuditError, ChatRose, DecodingError, InputError, Policy, PolicyViolation, SettingsError
from rose_guard.decoding.settings import RoseSettings
from rose_guard.engines.engine import GenerationRequest, ReversePrompt
from rose_guard.guard.ruling import Ruling
from rose_guard.langchain.foreign import GuardedChatModel
from rose_guard.langchain.foreign_answer import pieces, small_chunks
from rose_guard.langchain.foreign_engine import ForeignEngine
from rose_guard.memory import InMemoryConversations
from rose_guard.message import Message
from tests.guard.fakes import FailingClassifier, FakeAnswerClassifier, FakeClassifier, FakeEngine, Trail

CHECKED = "version: 1\noutput: {enabled: true, window_tokens: 16, hold_back_tokens: 4}\n"
CLEAN = ["Lentils ", "need ", "water ", "and ", "time."]
BAD = ["Lentils ", "need ", "water ", "and ", "vile ", "stuff ", "too."]
ASKED = [SystemMessage("You are Acme's bot."), HumanMessage("How do I make a lentil soup?")]
USAGE = {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14}
WAYS = ["invoke", "stream", "ainvoke", "astream"]


class Inner(BaseChatModel):
    """Streams what it is told to, and remembers what it was asked."""

    script: list[Any] = Field(default_factory=lambda: list(CLEAN))
    error: Any = None
    pause: float = 0.0
    inside: Any = None
    asked: list[Any] = Field(default_factory=list)
    traced: list[str] = Field(default_factory=list)
    events: list[str] = Field(default_factory=list)
    temperature: float | None = None
    max_tokens: int | None = None
    n: int | None = None

    @property
    def _llm_type(self):
        return "inner"

    @property
    def _identifying_params(self):
        return {"inner_name": "inner-1", "temperature": self.temperature}

    def _get_ls_params(self, stop=None, **kwargs):
        self.traced += kwargs
        return {**super()._get_ls_params(stop=stop, **kwargs), "ls_model_name": kwargs.get("model", "inner-1")}

    def bind_tools(self, tools, *, tool_choice=None, **kwargs):
        chosen = {"choice_of_inner": tool_choice} if tool_choice else {}
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **chosen, **kwargs)

    def _said(self):
        for part in self.script:
            yield part if isinstance(part, AIMessageChunk) else AIMessageChunk(content=part, id="msg-1")
        metadata = {"finish_reason": "stop", "model_name": "inner-1", "odd": {"kept": True}}
        yield AIMessageChunk(content="", id="msg-1", usage_metadata=USAGE, response_metadata=metadata)

    def _begin(self, messages, stop, run_manager, kwargs):
        assert run_manager is None
        self.asked.append((messages, stop, kwargs))
        if self.inside:
            self.inside()

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        self._begin(messages, stop, run_manager, kwargs)
        try:
            for chunk in self._said():
                yield ChatGenerationChunk(message=chunk)
            if self.error:
                raise self.error
        finally:
            self.events.append("closed")

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        self._begin(messages, stop, run_manager, kwargs)
        try:
            for chunk in self._said():
                await asyncio.sleep(self.pause)
                self.events.append("step")
                yield ChatGenerationChunk(message=chunk)
            if self.error:
                raise self.error
        finally:
            self.events.append("closed")

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self._begin(messages, stop, run_manager, kwargs)
        if self.error:
            raise self.error
        whole = reduce(add, self._said())
        message = AIMessage(**whole.model_dump(exclude={"type", "tool_call_chunks", "chunk_position"}))
        return ChatResult(generations=[ChatGeneration(message=message)])


class Whole(Inner):
    """As one that cannot stream."""

    _stream = BaseChatModel._stream
    _astream = BaseChatModel._astream


def guarded(inner=None, policy=CHECKED, *, word="vile", scores=None, **fields):
    policy = Policy.from_yaml(policy) if isinstance(policy, str) else policy
    fields.setdefault("classifier", FakeClassifier(**(scores or {})))
    return GuardedChatModel(
        model=inner if inner is not None else Inner(),
        policy=policy,
        answer_classifier=FakeAnswerClassifier(word),
        **fields,
    )


def ask(llm, how, messages=ASKED, **call):
    """The message, whichever way it is asked for."""

    async def streamed():
        return [chunk async for chunk in llm.astream(messages, **call)]

    if how == "invoke":
        return llm.invoke(messages, **call)
    if how == "stream":
        return reduce(add, llm.stream(messages, **call))
    return asyncio.run(llm.ainvoke(messages, **call)) if how == "ainvoke" else reduce(add, asyncio.run(streamed()))


class TestStandard(ChatModelUnitTests):
    """LangChain's own suite; constructor settings are the inner model's."""

    @property
    def chat_model_class(self):
        class Suited(GuardedChatModel):
            def __init__(self, **settings):
                own = {key: settings[key] for key in ("temperature", "max_tokens") if key in settings}
                super().__init__(model=Inner(**own))

        return Suited

    @property
    def chat_model_params(self):
        return {}


# What the inner model is asked.


@pytest.mark.parametrize("inner", [Inner, Whole])
@pytest.mark.parametrize("how", WAYS)
def test_the_inner_model_gets_the_messages_and_settings_of_the_call(how, inner):
    model = inner()
    call = {"tools": [{"type": "web_search"}], "tool_choice": {"odd": 1}, "response_format": "x", "anything": 5}
    ask(guarded(model), how, stop=["END"], **call)
    ((messages, stop, settings),) = model.asked
    assert all(sent is given for sent, given in zip(messages, ASKED, strict=True))
    assert (stop, settings) == (["END"], call)


@pytest.mark.parametrize("how", WAYS)
def test_a_ruling_never_reaches_the_inner_model_nor_a_trace(how):
    seen, model = Observer(), Inner()
    policy = Policy.from_yaml("version: 1\nhazards: {hate: {action: refuse}}")
    decision = policy.decide(FakeClassifier(hate=0.9).classify([]), "0" * 64)
    message = ask(guarded(model).with_config(callbacks=[seen]), how, ruling=Ruling(decision, policy))
    assert message.response_metadata["rose"]["action"] == "refuse"
    assert model.asked == []
    assert policy.reverse_prompt("generic", "en")[:40] not in seen.text
    assert "ruling" not in seen.text
    assert "ruling" not in model.traced
    with pytest.raises(SettingsError, match="Ruling"):
        ask(guarded(model), how, ruling={"action": "allow"})


def test_tools_are_bound_in_the_inner_models_format():
    def lookup(word: str) -> str:
        """Look a word up."""

    model = Inner()
    guarded(model).bind_tools([lookup], tool_choice="any", strict=True).invoke(ASKED)
    assert model.asked[0][2] == model.bind_tools([lookup], tool_choice="any", strict=True).kwargs
    assert model.asked[0][2]["choice_of_inner"] == "any"


def test_a_binding_that_cannot_be_carried_over_is_refused():
    class Odd(Inner):
        def bind_tools(self, tools, **kwargs):
            return RunnableLambda(len)

    with pytest.raises(SettingsError, match="Odd"):
        guarded(Odd()).bind_tools([])


def test_a_binding_to_another_model_is_guarded_too():
    class Other(Inner):
        def bind_tools(self, tools, **kwargs):
            return Inner(script=BAD).bind(**kwargs)

    message = guarded(Other()).bind_tools([], tool_choice="x").invoke(ASKED)
    assert message.response_metadata["finish_reason"] == "content_filter"


# What comes out.


@pytest.mark.parametrize("inner", [Inner, Whole])
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("policy", [CHECKED, "version: 1"])
def test_a_clean_answer_is_the_inner_models_own(how, inner, policy):
    message = ask(guarded(inner(), policy), how)
    assert message.content == "".join(CLEAN)
    assert message.id == "msg-1"
    assert message.usage_metadata == USAGE
    told = dict(message.response_metadata)
    assert told.pop("rose")["action"] == "allow"
    assert told == {"finish_reason": "stop", "model_name": "inner-1", "odd": {"kept": True}}


@pytest.mark.parametrize("how", WAYS)
def test_what_is_found_harmful_is_refused(how):
    inner = Inner(script=BAD)
    message = ask(guarded(inner), how)
    assert "vile" not in message.content
    assert message.content.endswith(Policy.default().message("refusal"))
    assert message.response_metadata["finish_reason"] == "content_filter"
    assert message.response_metadata["rose"]["output"]["action"] == "refuse"
    assert "odd" not in message.response_metadata
    assert message.usage_metadata == (USAGE if "invoke" in how else None)
    assert message.id == "msg-1"
    if how in ("stream", "astream"):
        assert inner.events[-1] == "closed"


@pytest.mark.parametrize("how", WAYS)
def test_a_refused_conversation_never_reaches_the_inner_model(how):
    model = Inner()
    message = ask(guarded(model, "version: 1", scores={"suicide_self_harm": 0.95}), how)
    assert message.content == Policy.default().message("crisis")
    assert message.response_metadata["finish_reason"] == "content_filter"
    assert model.asked == []
    blocking = guarded(model, "version: 1\nhazards: {hate: {action: block}}", scores={"hate": 0.9})
    with pytest.raises(PolicyViolation):
        ask(blocking, how)
    assert model.asked == []


def test_a_failing_classifier_refuses():
    model = Inner()
    llm = guarded(model, "version: 1", classifier=FailingClassifier(RuntimeError("boom")))
    assert llm.invoke(ASKED).response_metadata["rose"]["action"] == "refuse"
    assert model.asked == []


def test_unchecked_chunks_stream_as_they_come_and_checked_ones_wait():
    def released_after(policy):
        """How many chunks the inner model had given when each piece of text came."""
        given, seen = [], []

        class Counting(Inner):
            def _said(self):
                for chunk in super()._said():
                    given.append(chunk)
                    yield chunk

        for chunk in guarded(Counting(), policy).stream(ASKED):
            if chunk.content:
                seen.append(len(given))
        return seen

    assert released_after("version: 1") == [1, 2, 3, 4, 5]
    assert released_after(CHECKED)[0] > 1


def test_the_last_chunk_alone_is_last_and_carries_usage():
    for script in (CLEAN, BAD, [*CLEAN[:-1], AIMessageChunk(content="x", chunk_position="last", usage_metadata=USAGE)]):
        chunks = list(guarded(Inner(script=script)).stream(ASKED))
        assert [chunk.chunk_position for chunk in chunks] == [None] * (len(chunks) - 1) + ["last"]
        assert all(chunk.usage_metadata is None for chunk in chunks[:-1])


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("script", [CLEAN, BAD])
def test_metadata_of_every_chunk_adds_up_to_itself(how, script):
    named = [AIMessageChunk(content=part, response_metadata={"model_provider": "inner-co"}) for part in script]
    message = ask(guarded(Inner(script=named)), how)
    assert message.response_metadata["model_provider"] == "inner-co"
    assert message.response_metadata["model_name"] == "inner-1"


# Tool calls, thoughts, blocks.


def call_chunks(name, *arguments):
    first = AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(name=name, args="", id="c1", index=0)])
    rest = [
        AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(name=None, args=part, id=None, index=0)])
        for part in arguments
    ]
    return [first, *rest]


@pytest.mark.parametrize("inner", [Inner, Whole])
@pytest.mark.parametrize("how", WAYS)
def test_tool_calls_are_scored_whole_before_any_part_is_shown(how, inner):
    script = ["Look. ", *call_chunks("lookup", '{"word": ', '"a vi', 'le one"}')]
    message = ask(guarded(inner(script=script)), how)
    assert (message.tool_calls, message.invalid_tool_calls) == ([], [])
    assert message.response_metadata["finish_reason"] == "content_filter"
    script = ["Look. ", *call_chunks("lookup", '{"word": ', '"a go', 'od one"}')]
    message = ask(guarded(inner(script=script)), how)
    (call,) = message.tool_calls
    assert (call["name"], call["args"], call["id"]) == ("lookup", {"word": "a good one"}, "c1")
    assert message.content == "Look. "


def input_deltas(*arguments):
    first = {"type": "tool_use", "id": "c1", "name": "lookup", "input": {}, "index": 1}
    rest = [{"type": "input_json_delta", "partial_json": part, "index": 1} for part in arguments]
    return [AIMessageChunk(content=[block]) for block in (first, *rest)]


@pytest.mark.parametrize("calls", [call_chunks, input_deltas])
def test_from_the_first_part_of_a_call_on_everything_waits_for_the_end_and_keeps_its_order(calls):
    given, shown_after = [], []

    class Counting(Inner):
        def _said(self):
            for chunk in super()._said():
                given.append(chunk)
                yield chunk

    script = [*calls("lookup", '{"word": ', '"soup"}'), AIMessageChunk(content=[{"type": "text", "text": "There."}])]
    chunks = []
    for chunk in guarded(Counting(script=script), "version: 1").stream(ASKED):
        chunks.append(chunk)
        shown_after.append(len(given))
    assert set(shown_after) == {len(script) + 1}
    assert [bool(chunk.text) for chunk in chunks].index(True) == len(script) - 1


@pytest.mark.parametrize("how", WAYS)
def test_a_call_that_cannot_be_read_is_scored_too(how):
    class Broken(Whole):
        def _generate(self, messages, *args, **kwargs):
            call = {"name": "lookup", "args": "{a vile one", "id": "c1", "error": None}
            raw = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": "{a vile one"}}
            message = AIMessage("", invalid_tool_calls=[call], additional_kwargs={"tool_calls": [raw]})
            return ChatResult(generations=[ChatGeneration(message=message)])

    for inner in (Broken(), *([Inner(script=call_chunks("lookup", "{a vile one"))] if "stream" in how else [])):
        message = ask(guarded(inner), how)
        assert message.response_metadata["finish_reason"] == "content_filter"
        assert "lookup" not in message.model_dump_json()
    kept = ask(guarded(Broken(), word="worse"), how)
    assert kept.tool_calls == []
    assert [call["args"] for call in kept.invalid_tool_calls] == ([] if "stream" in how else ["{a vile one"])


@pytest.mark.parametrize("inner", [Inner, Whole])
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize(
    "thought",
    [
        lambda text: AIMessageChunk(content="", additional_kwargs={"reasoning_content": text}),
        lambda text: AIMessageChunk(content=[{"type": "thinking", "thinking": text, "signature": "s", "index": 0}]),
        lambda text: AIMessageChunk(content=[{"type": "reasoning", "summary": [{"text": text}], "index": 0}]),
        lambda text: AIMessageChunk(content=[{"type": "refusal", "refusal": text, "index": 0}]),
        lambda text: AIMessageChunk(content=[{"type": "tool_use", "name": "f", "input": {"x": text}, "index": 0}]),
        lambda text: AIMessageChunk(content=[{"type": "tool_use", "name": "f", "input": {"data": text}, "index": 0}]),
        lambda text: AIMessageChunk(content=[{"type": "tool_use", "name": "f", "input": {text: 1}, "index": 0}]),
        lambda text: AIMessageChunk(content=[{"type": "thinking", "thinking": "hm", "signature": text, "index": 0}]),
    ],
    ids=["reasoning_content", "thinking", "reasoning", "refusal", "tool_use", "input named data", "key", "signature"],
)
def test_everything_else_that_can_be_read_is_scored_and_kept_as_it_is(how, inner, thought):
    script = [thought("so vile "), AIMessageChunk(content=[{"type": "text", "text": "Yes.", "index": 1}])]
    message = ask(guarded(inner(script=script)), how)
    assert "so vile" not in message.model_dump_json()
    script[0] = thought("so good ")
    message = ask(guarded(inner(script=script)), how)
    assert "so good" in message.model_dump_json()
    assert message.text.endswith("Yes.")


def test_what_nobody_scores_is_left_out():
    note = {"type": "text", "text": "Yes.", "index": 0, "citations": [{"cited_text": "vile"}], "refusal": "vile"}
    chunk = AIMessageChunk(content=[note], additional_kwargs={"odd": "vile"}, response_metadata={"logprobs": ["vile"]})
    for llm in (guarded(Inner(script=[chunk])), guarded(Whole(script=[chunk]))):
        assert "vile" not in llm.invoke(ASKED).model_dump_json()


@pytest.mark.parametrize("how", WAYS)
def test_what_a_model_tells_beside_an_answer_that_comes_at_once_is_metadata_too(how):
    class Telling(Whole):
        def _generate(self, messages, *args, **kwargs):
            result = super()._generate(messages, *args, **kwargs)
            return ChatResult(generations=result.generations, llm_output={"fingerprint": "fp-1", "finish_reason": "x"})

    told = ask(guarded(Telling()), how).response_metadata
    assert (told["fingerprint"], told["finish_reason"]) == ("fp-1", "stop")


@pytest.mark.parametrize("inner", [Inner, Whole])
@pytest.mark.parametrize("how", WAYS)
def test_metadata_holds_names_and_numbers_but_no_text(how, inner):
    told = {
        "grounding": [{"passage": "a vile page", "uri": "https://a.example/b", "score": 0.5}, "a vile query"],
        "a vile key": 1,
        "stop_sequence": "so vile",
        "opaque": object(),
        "usage": {"tier": "standard", "tokens": [1, None, True]},
        "model": "Model with a long name",
    }
    kept = {
        "grounding": [{"uri": "https://a.example/b", "score": 0.5}],
        "usage": {"tier": "standard", "tokens": [1, None, True]},
        "model": "Model with a long name",
    }
    message = ask(guarded(inner(script=[AIMessageChunk(content="Yes.", response_metadata=told)])), how)
    assert {key: value for key, value in message.response_metadata.items() if key in told} == kept


@pytest.mark.parametrize("inner", [Inner, Whole])
@pytest.mark.parametrize("how", WAYS)
def test_what_a_call_shows_beside_what_it_says_is_scored_too(how, inner):
    a_text_for_an_id = AIMessageChunk(
        content="", tool_call_chunks=[tool_call_chunk(name="lookup", args="{}", id="a vile id", index=0)]
    )
    scripts = [[a_text_for_an_id]]
    if inner is Inner and "stream" in how:
        scripts.append(call_chunks("lookup", '{"word": "a vile one", "word": "a good one"}'))
    for script in scripts:
        message = ask(guarded(inner(script=script)), how)
        assert message.response_metadata["finish_reason"] == "content_filter"
        assert message.tool_calls == []


@pytest.mark.parametrize("inner", [Inner, Whole])
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("kind", ["function_call", "audio"])
def test_what_stands_beside_the_content_and_cannot_be_scored_is_an_error_too(how, inner, kind):
    beside = {kind: {"name": "f", "arguments": "{}", "data": "AAAA"}}
    with pytest.raises(DecodingError, match=kind):
        ask(guarded(inner(script=[AIMessageChunk(content="Look: ", additional_kwargs=beside)])), how)
    with pytest.raises(InputError, match=kind):
        ask(guarded(), how, [*ASKED, AIMessage("Look: ", additional_kwargs=beside), HumanMessage("More")])


@pytest.mark.parametrize("inner", [Inner, Whole])
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("kind", ["image", "audio", "server_tool_result", "web_search_tool_result", "odd"])
def test_answers_that_cannot_be_scored_are_errors_that_name_the_kind(how, inner, kind):
    script = ["Look: ", AIMessageChunk(content=[{"type": kind, "data": "AAAA"}])]
    with pytest.raises(DecodingError, match=kind):
        ask(guarded(inner(script=script)), how)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize(
    "messages",
    [
        [HumanMessage([{"type": "image_url", "image_url": {"url": "data:"}}])],
        [HumanMessage([{"type": "file", "base64": "AAAA"}])],
        [HumanMessage("Hi"), AIMessage([{"type": "image", "url": "data:"}]), HumanMessage("More")],
        [HumanMessage("Hi"), AIMessage("Hello")],
        [],
    ],
    ids=["image", "file", "image in an answer", "ends with an answer", "nothing"],
)
def test_bad_input_is_an_error_before_the_inner_model_is_asked(how, messages):
    model = Inner()
    with pytest.raises(InputError):
        ask(guarded(model), how, messages)
    assert model.asked == []


def test_earlier_answers_are_judged_in_every_form_that_the_model_reads():
    class Reading(FakeClassifier):
        seen = ""

        def classify(self, messages):
            self.seen += json.dumps([message.content for message in messages])
            return super().classify(messages)

    answer = AIMessage(
        [
            {"type": "thinking", "thinking": "a-thought", "signature": "an-opaque-one"},
            {"type": "tool_use", "id": "1", "name": "f", "input": {"x": "an-input", "data": "more", "a-key": 1}},
            {"type": "reasoning", "id": "an id of words", "reasoning": ""},
            "a-text",
        ],
        tool_calls=[{"name": "f", "args": {"x": "an-argument"}, "id": "1"}],
        invalid_tool_calls=[{"name": "g", "args": "a-broken-one", "id": "2", "error": None}],
        additional_kwargs={"function_call_of_old": "an-older-one"},
    )
    reading = Reading()
    guarded(classifier=reading).invoke([*ASKED, answer, ToolMessage("a-result", tool_call_id="1")])
    words = (
        "a-thought",
        "an-input",
        "more",
        "a-key",
        "an id of words",
        "a-text",
        "an-argument",
        "a-broken-one",
        "an-older-one",
        "a-result",
    )
    assert [word for word in words if word not in reading.seen] == []
    assert "an-opaque-one" not in reading.seen


# Windows of answers that come at once.


@given(st.text())
def test_small_pieces_join_to_the_text(text):
    assert "".join(pieces(text)) == text
    assert all(0 < len(piece) <= 128 for piece in pieces(text))


@given(st.lists(st.text().map(lambda text: text * 40), max_size=4), st.text().map(lambda text: text * 40))
def test_small_chunks_add_up_to_the_chunk(texts, thoughts):
    content = [{"type": "text", "text": text} for text in texts]
    chunk = AIMessageChunk(content=content, additional_kwargs={"reasoning_content": thoughts}, id="x")
    whole = reduce(add, small_chunks(chunk))
    assert whole.text == chunk.text
    assert whole.additional_kwargs.get("reasoning_content", "") == thoughts


@given(st.lists(st.text(max_size=200), min_size=1, max_size=6))
def test_whatever_the_chunks_the_answer_is_the_text(parts):
    for how in ("invoke", "stream"):
        for policy in (CHECKED, "version: 1"):
            message = ask(guarded(Inner(script=parts), policy, word="\0"), how)
            assert message.content == "".join(parts)


def test_an_answer_that_comes_at_once_is_scored_window_by_window():
    answers = FakeAnswerClassifier()
    llm = guarded(Whole(script=["word " * 500]))
    llm.answer_classifier = answers
    llm.invoke(ASKED)
    assert len(answers.shown) > 10
    assert max(len(window) for window in answers.shown) <= 300


# Who hears what.


class Observer(BaseCallbackHandler):
    """Writes everything down that a callback is told."""

    def __init__(self):
        self.heard = []
        for name in dir(BaseCallbackHandler):
            if name.startswith("on_"):
                setattr(self, name, lambda *args, **kwargs: self.heard.append((args, kwargs)))

    @property
    def text(self):
        return repr(self.heard)


@pytest.mark.parametrize("inner", [Inner, Whole])
@pytest.mark.parametrize("how", WAYS)
def test_no_handler_hears_what_was_not_released(how, inner):
    seen, inherited, own = Observer(), Observer(), Observer()
    model = inner(script=BAD, callbacks=[own], inside=lambda: RunnableLambda(lambda x: x).invoke("vile inside"))
    llm = guarded(model)
    with collect_runs() as collected:
        RunnableLambda(lambda messages: ask(llm, how, messages, config={"callbacks": [seen]})).invoke(ASKED)
        chain = RunnableLambda(llm.invoke)
        chain.invoke(ASKED, config={"callbacks": [inherited]})
    assert "refusal" in repr(seen.heard) or Policy.default().message("refusal") in seen.text
    assert inherited.heard
    assert own.heard == []
    assert "vile" not in seen.text
    assert "vile" not in inherited.text
    assert "vile" not in repr([run.outputs for run in collected.traced_runs])


@pytest.mark.parametrize("how", WAYS)
def test_the_inner_run_inherits_no_config_and_leaves_the_callers_as_it_was(how):
    heard = []
    llm = guarded(Inner(inside=lambda: heard.append(var_child_runnable_config.get())))

    def inside(messages):
        before = var_child_runnable_config.get()
        answer = ask(llm, how, messages)
        assert var_child_runnable_config.get() is before is not None
        return answer

    RunnableLambda(inside).invoke(ASKED, config={"configurable": {"x": 1}})
    assert heard == [None]


@pytest.mark.parametrize("how", WAYS)
def test_no_tracer_of_the_context_is_there_for_the_inner_model(how):
    def inside():
        heard.append((bool(tracing_is_enabled()), get_current_run_tree(), tracing_v2_callback_var.get()))

    async def drained(chunks):
        return [chunk async for chunk in chunks]

    heard, llm = [], guarded(Inner(inside=inside))
    token = tracing_v2_callback_var.set(object())
    try:
        with tracing_context(enabled=True, parent=RunTree(name="outer", ls_client=Mock())):
            inside()
            below = {  # LangChain's own run would be traced, as it should be
                "invoke": lambda: llm._generate(ASKED),
                "stream": lambda: list(llm._stream(ASKED)),
                "ainvoke": lambda: asyncio.run(llm._agenerate(ASKED)),
                "astream": lambda: asyncio.run(drained(llm._astream(ASKED))),
            }
            below[how]()
    finally:
        tracing_v2_callback_var.reset(token)
    before, within = heard
    assert all(before)
    assert within == (False, None, None)


@pytest.mark.parametrize("how", ["stream", "astream"])
def test_an_inner_model_is_stopped_unheard_too(how):
    class Closing(Inner):
        def _said(self):
            try:
                yield from super()._said()
            finally:
                heard.append(var_child_runnable_config.get())

    async def stopped(llm):
        chunks = llm._astream(ASKED)
        await anext(chunks)
        await chunks.aclose()

    def stop(_):
        llm = guarded(Closing(), "version: 1")
        if how == "astream":
            return asyncio.run(stopped(llm))
        chunks = llm._stream(ASKED)
        next(chunks)
        return chunks.close()

    heard = []
    RunnableLambda(stop).invoke(ASKED, config={"configurable": {"x": 1}})
    assert heard == [None]


def agent_graph(llm):
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [llm.invoke(state["messages"])]})
    graph.set_entry_point("model")
    return graph.compile()


def async_agent_graph(llm):
    async def node(state):
        return {"messages": [await llm.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", node)
    graph.set_entry_point("model")
    return graph.compile()


@pytest.mark.parametrize("inner", [Inner, Whole])
def test_langgraphs_streams_hold_only_what_was_released(inner):
    graph = agent_graph(guarded(inner(script=BAD)))
    for mode in ("messages", "values", "updates"):
        streamed = list(graph.stream({"messages": ASKED}, stream_mode=mode))
        assert Policy.default().message("refusal")[:20] in repr(streamed)
        assert "vile" not in repr(streamed)


async def test_langgraphs_async_streams_hold_only_what_was_released():
    graph = async_agent_graph(guarded(Inner(script=BAD)))
    streamed = [part async for part in graph.astream({"messages": ASKED}, stream_mode=["messages", "values"])]
    assert Policy.default().message("refusal")[:20] in repr(streamed)
    assert "vile" not in repr(streamed)


@pytest.mark.parametrize("inner", [Inner, Whole])
async def test_events_hold_only_what_was_released(inner):
    llm = guarded(inner(script=BAD))
    for runnable in (llm, RunnableLambda(llm.ainvoke), async_agent_graph(llm)):
        given = {"messages": ASKED} if not isinstance(runnable, GuardedChatModel | RunnableLambda) else ASKED
        events = [event async for event in runnable.astream_events(given, version="v2")]
        assert [event for event in events if event["event"] == "on_chat_model_end"]
        assert len([event for event in events if event["event"] == "on_chat_model_start"]) == 1
        assert "vile" not in repr(events)


@pytest.mark.filterwarnings("ignore")  # version 3 is beta, and says so
async def test_events_of_version_3_hold_only_what_was_released():
    llm = guarded(Inner(script=BAD))
    stream = llm.stream_events(ASKED, version="v3")
    events = list(stream)
    assert "vile" not in repr(events)
    assert stream.output.response_metadata["finish_reason"] == "content_filter"
    stream = await llm.astream_events(ASKED, version="v3")
    events = [event async for event in stream]
    assert "vile" not in repr(events)
    clean = guarded(Inner(script=["Look. ", *call_chunks("lookup", "{}")])).stream_events(ASKED, version="v3")
    assert clean.output.tool_calls[0]["name"] == "lookup"


# Stopping, failing, freeing.


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
@pytest.mark.parametrize("policy", [CHECKED, "version: 1"])
async def test_a_cancelled_reader_stops_the_inner_model(policy, way):
    model = Inner(pause=0.005, script=["word "] * 1000)
    llm = guarded(model, policy)
    task = asyncio.create_task(_drained(llm.astream(ASKED)) if way == "astream" else llm.ainvoke(ASKED, stream=True))
    while model.events.count("step") < 3:  # noqa: ASYNC110 - the model tells nobody of its steps
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.events[-1] == "closed"


async def _drained(stream):
    async for _ in stream:
        pass


async def test_a_reader_that_goes_away_stops_the_inner_model():
    model = Inner(script=["word "] * 1000)
    stream = guarded(model, "version: 1").stream(ASKED)
    next(stream)
    stream.close()
    assert model.events == ["closed"]
    stream = guarded(model, "version: 1").astream(ASKED)
    await anext(stream)
    await stream.aclose()
    assert model.events[-1] == "closed"


def test_closing_a_stream_of_the_engine_closes_the_inner_models():
    model = Inner()
    stream = ForeignEngine(model, ASKED, {}).stream(GenerationRequest((Message("user", "Hi"),)))
    next(stream)
    stream.close()
    assert model.events == ["closed"]
    assert list(stream) == []


def test_a_refusal_stops_the_inner_model():
    given = []

    class Endless(Inner):
        def _said(self):
            yield AIMessageChunk(content="a vile thing said at some length ")
            while True:
                given.append(1)
                yield AIMessageChunk(content="more and more ")

    assert "vile" not in ask(guarded(Endless()), "stream").content
    assert len(given) < 5


class RateLimitError(Exception):
    pass


@pytest.mark.parametrize("inner", [Inner, Whole])
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("policy", [CHECKED, "version: 1"])
def test_errors_of_the_inner_model_are_raised_as_they_are(how, inner, policy):
    error = RateLimitError("slow down")
    model = inner(error=error)
    with pytest.raises(RateLimitError) as raised:
        ask(guarded(model, policy), how)
    assert raised.value is error


@pytest.mark.parametrize("how", ["stream", "astream"])
def test_an_inner_model_that_says_nothing_is_an_error(how):
    class Silent(Inner):
        def _said(self):
            return iter(())

    with pytest.raises(DecodingError, match="without an answer"):
        ask(guarded(Silent()), how)


def test_several_answers_and_log_probabilities_are_wrong_settings():
    for call in ({"n": 2}, {"logprobs": True}, {"top_logprobs": 3}):
        with pytest.raises(SettingsError, match=next(iter(call))):
            guarded().invoke(ASKED, **call)
    with pytest.raises(SettingsError, match="n = 2"):
        guarded(Inner(n=2))

    class Double(Whole):
        def _generate(self, messages, *args, **kwargs):
            result = super()._generate(messages, *args, **kwargs)
            return ChatResult(generations=result.generations * 2)

    with pytest.raises(DecodingError, match="2 answers"):
        guarded(Double()).invoke(ASKED)


# The guard.


@pytest.mark.parametrize("how", WAYS)
def test_what_is_to_be_steered_is_refused_unless_the_policy_says_otherwise(how):
    model = Inner()
    message = ask(guarded(model, "version: 1", scores={"hate": 0.9}), how)
    assert message.content == Policy.default().message("refusal")
    assert model.asked == []
    assert ask(guarded(model, "version: 1\nunsteerable: warn", scores={"hate": 0.9}), how).content == "".join(CLEAN)


@pytest.mark.parametrize("how", WAYS)
def test_what_is_to_be_steered_goes_to_the_local_model_where_the_policy_routes(how):
    def lookup(word: str) -> str:
        """Look a word up."""

    engine, model = FakeEngine("from here"), Inner()
    local = ChatRose(engine=engine, policy=None, max_tokens=7)
    llm = guarded(model, "version: 1\nunsteerable: route", scores={"hate": 0.9}, local=local)
    message = ask(llm.bind_tools([lookup]), how)
    assert message.content == "from here"
    assert message.response_metadata["model_name"] == "fake"
    assert message.response_metadata["rose"]["action"] == "steer"
    assert model.asked == []
    (request,) = engine.requests
    assert (request.max_new_tokens, [tool.name for tool in request.tools]) == (7, ["lookup"])
    llm = guarded(model, "version: 1\nunsteerable: route", local=local)
    assert ask(llm, how, tools=[{"type": "web_search"}]).content == "".join(CLEAN)
    assert ask(llm.bind_tools([lookup]), how).content == "".join(CLEAN)
    with pytest.raises(SettingsError, match="local"):
        guarded(model, "version: 1\nunsteerable: route")


def test_a_restart_is_a_refusal():
    model = Inner(script=BAD)
    policy = "version: 1\noutput: {enabled: true, action: restart, window_tokens: 16, hold_back_tokens: 4}"
    assert guarded(model, policy).invoke(ASKED).response_metadata["finish_reason"] == "content_filter"
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"begun": "And so"}, InputError),
        ({"reverse_prompts": (ReversePrompt("x"),), "settings": RoseSettings(alpha=0.5)}, InputError),
        ({"safe_prompt": "Be kind."}, InputError),
        ({"n": 2}, SettingsError),
        ({"logprobs": 0}, SettingsError),
    ],
)
def test_the_engine_refuses_what_it_cannot_do(fields, error):
    engine = ForeignEngine(Inner(), ASKED, {})
    for begin in (engine.stream, engine.astream, lambda request: engine.streams([request])):
        with pytest.raises(error):
            begin(GenerationRequest((Message("user", "Hi"),), **fields))
    assert engine.steers is False
    assert engine.model_id == "inner-1"


def test_decisions_verdicts_and_ends_are_recorded():
    trail = Trail()
    guarded(audit=trail).invoke(ASKED)
    assert trail.kinds == ["decision", "output", "end"]


@pytest.mark.parametrize(("reason", "ended"), [("stop", "stop"), ("MAX_TOKENS", "length"), ("length", "length")])
def test_how_it_ended_and_what_it_used_in_all_is_recorded(reason, ended):
    trail = Trail()
    parts = [AIMessageChunk(content="Yes.", usage_metadata=USAGE, response_metadata={"stop_reason": reason})]
    message = ask(guarded(Inner(script=parts), "version: 1", audit=trail), "stream")
    line = trail.events[-1][1]
    assert (line["finish_reason"], line["usage"]) == (ended, {"input_tokens": 18, "output_tokens": 10})
    assert message.usage_metadata["total_tokens"] == 28


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("policy", [CHECKED, "version: 1"])
def test_an_end_that_cannot_be_recorded_is_not_shown(how, policy):
    class Full:
        def append(self, kind, payload):
            if kind == "end":
                raise AuditError("the disk is full")

    message = ask(guarded(Inner(script=["Look. ", *call_chunks("lookup", "{}")]), policy, audit=Full()), how)
    assert message.tool_calls == []
    assert message.response_metadata["finish_reason"] == "content_filter"


@pytest.mark.parametrize("how", WAYS)
def test_the_inner_models_rate_limit_holds(how):
    class Counting(BaseRateLimiter):
        taken = 0

        def acquire(self, *, blocking=True):
            self.taken += blocking
            return True

        async def aacquire(self, *, blocking=True):
            return self.acquire(blocking=blocking)

    limiter = Counting()
    ask(guarded(Inner(rate_limiter=limiter)), how)
    assert limiter.taken == 1


def test_risky_turns_are_counted_over_calls():
    escalate = "hazards: {hate: {escalate: {after: 2, within_s: 600, action: refuse}}}"
    policy = f"version: 1\nunsteerable: warn\n{escalate}"
    llm = guarded(None, policy, scores={"hate": 0.9}, memory=InMemoryConversations(), principal="ann")
    actions = [llm.invoke(f"question {i}").response_metadata["rose"]["action"] for i in range(4)]
    assert actions == ["allow", "allow", "refuse", "refuse"]


def test_a_policy_given_later_counts_from_then_on():
    llm = guarded(None, "version: 1", scores={"hate": 0.9})
    llm.policy = Policy.from_yaml("version: 1\nhazards: {hate: {action: block}}")
    with pytest.raises(PolicyViolation):
        llm.invoke(ASKED)
    llm.policy = None
    with pytest.raises(SettingsError, match="guards nothing"):
        llm.invoke(ASKED)


def test_what_would_guard_nothing_is_refused_when_constructing():
    with pytest.raises(SettingsError, match="guards nothing"):
        GuardedChatModel(model=Inner(), policy=None)
    with pytest.raises(SettingsError, match="cache"):
        GuardedChatModel(model=Inner(), cache=True)
    with pytest.raises(ValueError, match="polcy"):
        GuardedChatModel(model=Inner(), polcy="default")


def test_a_cache_given_later_answers_nothing():
    set_llm_cache(InMemoryCache())
    try:
        for llm in (guarded(), guarded(), guarded().model_copy(update={"cache": InMemoryCache()})):
            if llm.cache is False:
                llm.cache = None
            with pytest.raises(SettingsError, match="cache"):
                llm.invoke(ASKED)
    finally:
        set_llm_cache(None)


def test_it_is_identified_by_the_inner_model_and_the_policy():
    llm, other = guarded(Inner(temperature=0.5), "version: 1"), guarded(Inner(temperature=0.5))
    params = llm._identifying_params
    assert (params["inner_name"], params["temperature"]) == ("inner-1", 0.5)
    assert params["policy_digest"] != other._identifying_params["policy_digest"]
    assert llm._llm_type == "guarded-chat-model"
    assert llm._get_ls_params()["ls_model_name"] == "inner-1"
    assert guarded(Inner(profile={"tool_calling": True})).profile == {"tool_calling": True}


def test_constructing_loads_nothing():
    started = time.perf_counter()
    for _ in range(10):
        GuardedChatModel(model=Inner())
    assert time.perf_counter() - started < 2


# Structure and agents.


class Soup(BaseModel):
    """A soup."""

    name: str


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_structured_output_is_read_as_the_inner_model_would(how):
    script = call_chunks("Soup", '{"name": "lentil"}')
    structured = guarded(Inner(script=script)).with_structured_output(Soup)
    assert ask(structured, how) == Soup(name="lentil")
    raw = ask(guarded(Inner(script=script)).with_structured_output(Soup, include_raw=True), how)
    assert (raw["parsed"], raw["parsing_error"]) == (Soup(name="lentil"), None)


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
def test_a_refusal_is_never_read_as_a_value_or_as_none(how):
    script = call_chunks("Soup", '{"name": "a vile one"}')
    with pytest.raises(PolicyViolation):
        ask(guarded(Inner(script=script)).with_structured_output(Soup), how)
    raw = ask(guarded(Inner(script=script)).with_structured_output(Soup, include_raw=True), how)
    assert raw["parsed"] is None
    assert isinstance(raw["parsing_error"], PolicyViolation)
    assert "vile" not in raw["raw"].model_dump_json()


def test_an_agent_runs_on_it():
    def lookup(word: str) -> str:
        """Look a word up."""
        return f"{word} is a soup"

    class Turns(Inner):
        def _said(self):
            first = len(self.asked) == 1
            self.script = call_chunks("lookup", '{"word": "dal"}') if first else CLEAN
            return (chunk.model_copy(update={"id": f"msg-{len(self.asked)}"}) for chunk in super()._said())

    model = Turns()
    result = create_agent(guarded(model), tools=[lookup]).invoke({"messages": [HumanMessage("What is dal?")]})
    assert [message.type for message in result["messages"]] == ["human", "ai", "tool", "ai"]
    assert result["messages"][-1].text == "".join(CLEAN)
    assert len(model.asked) == 2
