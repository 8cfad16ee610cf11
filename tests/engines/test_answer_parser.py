"""Laws of reading answers: what an answer holds does not depend on how it was cut into pieces."""

import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rose_guard.engines.answer_parser import Parts, PlainParser, TaggedParser
from rose_guard.engines.tool_syntax import ToolSyntax
from rose_guard.message import ToolCall

HERMES = ToolSyntax()
BARE = ToolSyntax(opening="", closing="", arguments_key="parameters")
OPENED = ToolSyntax(opening="[CALL]", closing="")
PIECES = [
    "<think>",
    "</think>",
    "<tool_call>\n",
    "\n</tool_call>",
    "<tool",
    "_call>",
    "\n",
    " ",
    "hi",
    "[CALL]",
    "{",
    "}",
]
PIECES += [HERMES.write(ToolCall("f", '{"x": "</tool_call>"}')), '{"name": "g", "parameters": {}}']
answers = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
calls = st.builds(
    ToolCall,
    st.text(min_size=1, max_size=8).filter(lambda name: not _half(name)),
    st.dictionaries(st.text(max_size=4).filter(lambda t: not _half(t)), st.integers() | st.booleans()).map(json.dumps),
)


def _half(text):
    return any(0xD800 <= ord(char) <= 0xDFFF for char in text)


def read(parser, pieces):
    return sum((parser.push(piece) for piece in pieces), Parts()) + parser.flush()


@given(answer=answers, cuts=st.lists(st.integers(0, 200)), thinks=st.booleans(), thinking=st.booleans())
@example(answer="<think>a</think>\n\nhi", cuts=[3, 9], thinks=True, thinking=False)
@pytest.mark.parametrize("syntax", [None, HERMES, BARE, OPENED], ids=["none", "hermes", "bare", "opened"])
def test_how_an_answer_is_cut_makes_no_difference(syntax, answer, cuts, thinks, thinking):
    ends = sorted({min(cut, len(answer)) for cut in cuts} | {0, len(answer)})
    pieces = [answer[start:end] for start, end in pairwise(ends)]

    def parser():
        return TaggedParser(syntax, thinks=thinks or thinking, thinking=thinking)

    assert read(parser(), pieces) == read(parser(), [answer]) == read(parser(), list(answer))


@given(answer=st.text())
def test_where_there_are_neither_tools_nor_thoughts_all_is_text(answer):
    assert read(PlainParser(), list(answer)) == Parts(answer)
    assert read(TaggedParser(None), list(answer)) == Parts(answer)


@given(call=calls)
@pytest.mark.parametrize("syntax", [HERMES, BARE, OPENED], ids=["hermes", "bare", "opened"])
def test_a_call_that_was_written_is_read(syntax, call):
    read_back = read(TaggedParser(syntax), list(syntax.write(call)))
    assert [(c.name, c.parsed) for c in read_back.tool_calls] == [(call.name, call.parsed)]
    assert (read_back.text, read_back.reasoning, read_back.broken_call) == ("", "", "")


def test_text_around_calls_is_kept_and_what_parts_them_is_not():
    call = HERMES.write(ToolCall("f"))
    parts = read(TaggedParser(HERMES), [f"Let me see.\n{call}\n{call}\n Done."])
    assert parts.text == "Let me see.\nDone."
    assert [c.name for c in parts.tool_calls] == ["f", "f"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        '{"name": 3}',
        '{"name": ""}',
        '{"name": "f", "arguments": [1]}',
        '{"name": "f", "arguments": "x"}',
    ],
)
def test_what_is_no_call_is_broken_and_never_text(body):
    parts = read(TaggedParser(HERMES), [f"<tool_call>{body}</tool_call>"])
    assert parts.broken_call.startswith(body)
    assert (parts.text, parts.tool_calls) == ("", ())


def test_a_call_without_an_end_is_broken():
    assert read(TaggedParser(HERMES), ['hi <tool_call>{"name": "f", "argu']).broken_call == '{"name": "f", "argu'


def test_arguments_may_be_json_within_json_and_stand_under_either_key():
    for body in ('{"name": "f", "arguments": "{\\"x\\": 1}"}', '{"name": "f", "parameters": {"x": 1}}'):
        (call,) = read(TaggedParser(HERMES), [f"<tool_call>{body}</tool_call>"]).tool_calls
        assert call.parsed == {"x": 1}


def test_thoughts_come_first_or_are_text():
    assert read(TaggedParser(None, thinks=True), ["\n<think>a</think>\n\nb"]) == Parts("b", "a")
    assert read(TaggedParser(None, thinks=True), ["b <think>a</think>"]) == Parts("b <think>a</think>")
    assert read(TaggedParser(None, thinks=True, thinking=True), ["a</think>b"]) == Parts("b", "a")
    assert read(TaggedParser(None, thinks=True, thinking=True), ["never ends"]) == Parts("", "never ends")


def test_an_answer_that_was_begun_goes_on_as_text():
    assert read(TaggedParser(BARE, thinks=True, begun=True), ['{"name": "f"}']) == Parts('{"name": "f"}')
