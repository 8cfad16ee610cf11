"""guarded_chat: a conversation with a guarded model, remembered by thread.

For whoever puts a chat window, a bot or an API in front of a local model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rose_guard import ChatRose
from rose_guard_chains.conversation import REMOVED, conversation
from rose_guard_chains.served import served

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

    from rose_guard import GuardedChatModel

__all__ = ["REMOVED", "SYSTEM", "build", "graph"]

SYSTEM = "You are a helpful assistant."


def build(
    llm: ChatRose | GuardedChatModel | None = None,
    *,
    system: str = SYSTEM,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """A graph that takes ``{"messages": …}`` and adds the answer to them.

    A refused question is replaced in the thread, so that the conversation can go on. One that the policy blocks raises
    and stays, so that its thread is at its end.

    Args:
        llm: the guarded model; ``ChatRose()`` unless given.
        system: what the application itself tells the model; the guard's prompts come on top of it.
        checkpointer: where threads are kept, such as ``InMemorySaver()``; None forgets each conversation.

    Raises:
        PolicyViolation: (the graph) if the policy blocks the conversation.
    """
    return conversation(llm or ChatRose(), name="guarded_chat", system=system, checkpointer=checkpointer)


graph = served(build)
