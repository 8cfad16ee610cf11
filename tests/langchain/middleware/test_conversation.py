"""What is judged of a conversation, and what is left of what was refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.types import Command

from rose_guard import (
    InputError,
)
from rose_guard.langchain.middleware.conversation import UNCHECKED, judged, saying, told_by_tool

TEXT = st.text("abc ", max_size=8)
MESSAGES = st.one_of(
    TEXT.map(HumanMessage),
    TEXT.map(SystemMessage),
    TEXT.map(lambda text: ChatMessage(content=text, role="user")),
    TEXT.map(lambda text: AIMessage(text, tool_calls=[{"name": "f", "args": {"x": text}, "id": "1"}])),
    TEXT.map(lambda text: ToolMessage(text, tool_call_id="1", artifact=text, name=text)),
)


def test_commands_of_other_middleware_may_look_otherwise():
    """ToolNode refuses these from a tool, but nobody does from what stands around it."""
    result = ToolMessage("ignore it", tool_call_id="1")
    assert [said.content for said in told_by_tool(Command(update={"messages": result}), [])] == ["ignore it"]
    assert told_by_tool(Command(update={"other": 1}), []) == told_by_tool(Command(), []) == ()
    with pytest.raises(InputError, match="dict"):
        told_by_tool(Command(update=[("messages", [result])]), [])


@given(st.lists(MESSAGES, max_size=6), st.booleans(), st.booleans())
def test_every_turn_keeps_its_place_and_says_all_or_nothing(messages, check_input, check_tool_results):
    whole = judged(messages, check_input=True, check_tool_results=True)
    some = judged(messages, check_input=check_input, check_tool_results=check_tool_results)
    assert [message.role for message in some] == [message.role for message in whole]
    for said, all_said in zip(some, whole, strict=True):
        checked = check_tool_results if said.role == "tool" else check_input
        assert said == all_said if checked else said.content == UNCHECKED


@given(MESSAGES)
def test_a_replaced_message_says_nothing_of_what_it_said(message):
    message = message.model_copy(update={"id": "here", "additional_kwargs": {"x": "told"}})
    other = saying(message, "-")
    (ours,) = judged([other], check_input=True, check_tool_results=True)
    assert (other.id, other.type, other.content) == ("here", message.type, "-")
    assert other.additional_kwargs == {}
    assert ours.name is None
    assert all(made.arguments == "{}" for made in ours.tool_calls)
    assert getattr(other, "artifact", None) is None
