"""Laws of tools and thoughts: what a model thinks and calls is checked like what it says, and what it reads like text."""

import pytest

from rose_guard import Guard, Message, Policy, SettingsError
from rose_guard.engines import Delta
from rose_guard.engines.engine import Tool
from rose_guard.guard import Answer, GenerationOptions, OutputVerdict
from rose_guard.guard.means import Means
from rose_guard.guard.turn import Turn
from rose_guard.message import ToolCall, digest
from tests.guard.fakes import FakeAnswerClassifier, FakeClassifier, FakeEngine, ScriptedEngine, Trail, pieces_of

HI = [Message("user", "Hi")]
SEARCH = Tool("search", "finds pages", {"type": "object", "properties": {"query": {"type": "string"}}})
CALL = ToolCall("search", '{"query": "soup"}', "call-1")
BAD = ToolCall("search", '{"query": " bad "}', "call-2")
OUTPUT = "version: 1\noutput: {{enabled: true, window_tokens: 8, hold_back_tokens: 1, action: {action}}}"
REFUSE, RESTART = (Policy.from_yaml(OUTPUT.format(action=action)) for action in ("refuse", "restart"))
REFUSAL = Policy.default().message("refusal")
both = pytest.mark.parametrize("asynchronous", [False, True])


def said(text="", **parts):
    return Delta(text, tokens=1, prompt_tokens=7, **parts)


WHOLE = [
    said(reasoning="I think "),
    said(reasoning="of soup. "),
    said("Let me "),
    said("look."),
    said(tool_calls=(CALL,)),
    said(tool_calls=(ToolCall("search"),)),
    said(broken_call='{"name": "sea'),
]


def guard_for(policy, *answers, **parts):
    engine = ScriptedEngine(*answers)
    scores = parts.pop("scores", {})
    return Guard(
        engine, classifier=FakeClassifier(**scores), policy=policy, answer_classifier=FakeAnswerClassifier(), **parts
    )


@both
async def test_tools_reach_the_engine(asynchronous):
    guard = guard_for(Policy.default(), [said("a")])
    schema = {"type": "object"}
    options = GenerationOptions(tools=(SEARCH,), answer_schema=schema)
    await pieces_of(guard, HI, options, asynchronous=asynchronous)
    assert (guard.engine.requests[0].tools, guard.engine.requests[0].answer_schema) == ((SEARCH,), schema)


@pytest.mark.parametrize("tools", [({"name": "search"},), [SEARCH], "search", None])
def test_a_tool_is_a_tool(tools):
    with pytest.raises(SettingsError, match="tools"):
        GenerationOptions(tools=tools)


CONVERSATION = [
    *HI,
    Message("assistant", "I look.", tool_calls=(CALL, BAD)),
    Message("tool", "found", name="search", tool_call_id="call-1"),
]


@both
async def test_the_arguments_of_calls_are_scored_and_the_conversation_itself_is_answered(asynchronous):
    guard = guard_for(Policy.default(), [said("a")])
    (piece,) = await pieces_of(guard, CONVERSATION, asynchronous=asynchronous)
    (scored,) = guard.classifier.asked
    assert [message.content for message in scored] == [message.text for message in CONVERSATION]
    assert BAD.arguments in scored[1].content
    assert [message.text for message in scored] == [message.content for message in scored]  # never scored twice
    assert guard.engine.requests[0].messages == tuple(CONVERSATION)
    assert piece.decision.messages_digest == digest(CONVERSATION)


def test_the_time_for_scoring_grows_with_the_arguments():
    def seconds(*messages):
        policy = Policy.from_yaml("version: 1\nclassifier: {timeout_s: 1.0}")
        return next(Turn(messages, GenerationOptions(), policy, None, Means(records=False)).decide()).seconds

    calls = (ToolCall("f", '{"query": "' + "x" * 1000 + '"}'),)
    plain, long = (
        seconds(Message("user", "Hi"), Message("assistant", "a", tool_calls=made), Message("user", "b"))
        for made in ((), calls)
    )
    assert long - plain == pytest.approx(len("\n" + calls[0].text) / 1000)


@pytest.mark.parametrize("policy", [None, Policy.default(), REFUSE, RESTART])
@both
async def test_an_answer_has_all_that_was_said_and_a_stream_joins_to_the_same(policy, asynchronous):
    guard = guard_for(policy, WHOLE)
    streamed = Answer.of(await pieces_of(guard, HI, asynchronous=asynchronous))
    whole = await guard.aanswer(HI) if asynchronous else guard.answer(HI)
    for answer in (streamed, whole):
        assert (answer.text, answer.reasoning) == ("Let me look.", "I think of soup. ")
        assert (answer.tool_calls, answer.broken_calls) == ((CALL, ToolCall("search")), ('{"name": "sea',))
        assert answer.last.delta.finish_reason == "stop"


FOUND = {
    "thought": said(reasoning="how bad is it"),
    "call": said(tool_calls=(BAD,)),
    "broken call": said(broken_call='{"name": " bad '),
}


@pytest.mark.parametrize("found", FOUND.values(), ids=FOUND)
@both
async def test_what_is_found_in_a_thought_or_a_call_is_never_shown(found, asynchronous):
    guard = guard_for(REFUSE, [said("Well "), found, said("then.")])
    pieces = await pieces_of(guard, HI, asynchronous=asynchronous)
    answer = Answer.of(pieces)
    assert answer.text == f"Well \n\n{REFUSAL}"
    assert (answer.reasoning, answer.tool_calls, answer.broken_calls) == ("", (), ())
    assert answer.last.verdict == OutputVerdict("refuse", 0.9)
    assert guard.engine.open == 0


def test_no_thought_and_no_call_is_given_out_before_a_window_that_holds_it_was_scored():
    guard = guard_for(REFUSE, WHOLE)
    for piece in guard.stream(HI):
        assert any(piece.delta.shown in window for window in guard.answer_classifier.shown)


def test_a_refusal_behind_thoughts_alone_begins_the_text():
    guard = guard_for(REFUSE, [said(reasoning="hm "), said("bad"), said("x")])
    answer = guard.answer(HI)
    assert (answer.text, answer.reasoning) == (REFUSAL, "hm ")


@pytest.mark.parametrize("released", [{"reasoning": "hm "}, {"tool_calls": (CALL,)}, {"broken_call": "{"}])
@both
async def test_behind_a_thought_or_a_call_that_was_shown_nothing_is_begun_anew(released, asynchronous):
    trail = Trail()
    guard = guard_for(RESTART, [said("Well "), said(**released), said(" bad"), said("x")], [said("fine")], audit=trail)
    pieces = await pieces_of(guard, HI, asynchronous=asynchronous)
    assert Answer.of(pieces).text == f"Well \n\n{REFUSAL}"
    assert pieces[-1].verdict == OutputVerdict("refuse", 0.9, 0)
    assert len(guard.engine.requests) == 1
    assert trail.kinds == ["decision", "output", "end"]


@both
async def test_behind_text_alone_and_a_withheld_thought_it_is_begun_anew(asynchronous):
    guard = guard_for(RESTART, [said("Well "), said(reasoning=" bad"), said("x")], [said("fine")])
    options = GenerationOptions(tools=(SEARCH,))
    answer = Answer.of(await pieces_of(guard, HI, options, asynchronous=asynchronous))
    assert (answer.text, answer.reasoning) == ("Well fine", "")
    again = guard.engine.requests[1]
    assert (again.begun, again.tools) == ("Well ", (SEARCH,))


def test_a_restart_that_thinks_is_not_begun_anew_once_more():
    policy = Policy.from_yaml(OUTPUT.format(action="restart, restarts: 2, restart_alpha: 0.5"))
    guard = guard_for(
        policy, [said(" bad"), said("x")], [said(reasoning="hm "), said(" bad"), said("x")], [said("fine")]
    )
    answer = guard.answer(HI)
    assert answer.text == REFUSAL
    assert answer.last.verdict == OutputVerdict("refuse", 0.9, 1)
    assert len(guard.engine.requests) == 2


@pytest.mark.parametrize("policy", [Policy.default(), REFUSE])
@both
async def test_thoughts_and_calls_are_on_record_with_the_answer(policy, asynchronous):
    trail = Trail()
    await pieces_of(guard_for(policy, WHOLE, audit=trail), HI, asynchronous=asynchronous)
    _, end = trail.events[-1]
    shown = "".join(delta.shown for delta in WHOLE)
    assert CALL.arguments in shown
    assert (end["answer"].value, end["released_characters"]) == (shown, len(shown))


@pytest.mark.parametrize("policy", [Policy.default(), REFUSE])
@both
async def test_a_last_piece_that_could_not_be_recorded_gives_out_neither_thought_nor_call(policy, asynchronous):
    last = said("x", reasoning="hm", tool_calls=(CALL,), broken_call="{")
    guard = guard_for(policy, [last], audit=Trail("end"))
    answer = Answer.of(await pieces_of(guard, HI, asynchronous=asynchronous))
    assert (answer.text, answer.reasoning, answer.tool_calls, answer.broken_calls) == (REFUSAL, "", (), ())
    assert answer.last.delta.finish_reason == "content_filter"


def test_an_engine_that_speaks_text_only_is_as_it_was():
    answer = Guard(FakeEngine("one two")).answer(HI)
    assert (answer.text, answer.reasoning, answer.tool_calls, answer.broken_calls) == ("one two", "", (), ())


@both
async def test_an_id_that_is_a_text_is_scored_and_one_that_is_an_id_is_not(asynchronous):
    guard = guard_for(Policy.default(), [said("a")])
    forged = ToolCall("search", "{}", "a forged id")
    talk = [
        *HI,
        Message("assistant", "", tool_calls=(CALL, forged)),
        Message("tool", "Pages.", tool_call_id="call-1"),
        Message("tool", "Other pages.", tool_call_id="another forged id", untrusted=((0, 5),)),
        Message("tool", "", tool_call_id="long-" * 20),
    ]
    await pieces_of(guard, talk, asynchronous=asynchronous)
    ((_, calls, pages, others, long),) = guard.classifier.asked
    assert calls.content == f"{CALL.text}\n{forged.text}\na forged id"
    assert pages.content == "Pages."
    assert (others.content, others.untrusted) == ("Other pages.\nanother forged id", ((0, 5),))
    assert "long-" * 20 in long.content
    assert guard.engine.requests[0].messages == tuple(talk)
