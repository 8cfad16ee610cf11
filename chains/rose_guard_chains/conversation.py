"""Conversation: the graph that the chat chains share. Messages in, the guarded model's answer added to them."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda, RunnablePassthrough
from langgraph.graph import END, START, MessagesState, StateGraph

from rose_guard import ChatRose, GuardedChatModel

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

REMOVED = "(This message was removed by the safety policy.)"
"""What a refused question says from then on, so that it does not decide every later turn."""


def conversation(
    llm: ChatRose | GuardedChatModel, *, name: str, system: str, checkpointer: BaseCheckpointSaver[Any] | None
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """A graph of one node, which answers.

    Args:
        llm: the guarded model; it counts risky turns by LangGraph's thread, unless it has a thread of its own.
        name: of the graph.
        system: what the application itself tells the model.
        checkpointer: where threads are kept.
    """
    told = SystemMessage(system)
    asked: Runnable[Any, Any] = RunnableLambda(lambda state: [told, *state["messages"]], name="conversation")
    answering: Any = RunnablePassthrough.assign(answer=asked | _by_thread(llm)) | RunnableLambda(_answered)
    return (
        StateGraph(MessagesState)
        .add_node("answer", answering)
        .add_edge(START, "answer")
        .add_edge("answer", END)
        .compile(checkpointer=checkpointer, name=name)
    )


def _by_thread(llm: ChatRose | GuardedChatModel) -> Runnable[Any, Any]:
    """The model, told which thread it answers in."""

    def of_thread(_: Any, config: RunnableConfig) -> Any:
        thread = config.get("configurable", {}).get("thread_id")
        if thread is None or llm.thread is not None:
            return llm
        if isinstance(llm, ChatRose):
            _ = llm.guard  # built here, so that every copy shares it
        return llm.model_copy(update={"thread": str(thread)})

    return RunnableLambda(of_thread, name="model_of_thread")


def _answered(state: dict[str, Any]) -> dict[str, list[BaseMessage]]:
    """The answer, and behind a refusal the question as it stands from now on."""
    messages, answer = state["messages"], state["answer"]
    refused = answer.response_metadata.get("rose", {}).get("action") == "refuse"
    return {"messages": [*_removed(messages), answer] if refused else [answer]}


def _removed(messages: list[BaseMessage]) -> list[HumanMessage]:
    """What was asked since the last answer, without what it said."""
    asked = takewhile(lambda message: not isinstance(message, AIMessage), reversed(messages))
    return [HumanMessage(REMOVED, id=message.id) for message in asked if isinstance(message, HumanMessage)]
