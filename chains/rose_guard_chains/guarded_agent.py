"""guarded_agent: a model that calls tools, guarded at each step, and held up where a human should look first.

For whoever lets a model act: send, delete, buy, write.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware, InterruptOnConfig
from langchain_core.messages import AIMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from rose_guard import ChatRose, RoseGuardMiddleware, SettingsError
from rose_guard_chains.served import served

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from langchain.agents.middleware import ToolCallRequest
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import BaseTool
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

SYSTEM = "You are a helpful assistant. Call a tool where one helps."


def build(  # noqa: PLR0913 - what an agent is made of, by keyword
    tools: Sequence[BaseTool | Callable[..., Any]],
    llm: BaseChatModel | None = None,
    *,
    guard: RoseGuardMiddleware | None = None,
    approve: Collection[str] = (),
    system: str = SYSTEM,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """An agent that takes ``{"messages": …}``.

    A call waits for a human, by LangGraph's ``interrupt``, if its tool is named in ``approve``, or if any rule of the
    policy fired on the conversation that led to it, such as at a risky question or at a tool result with instructions.
    ``Command(resume={"decisions": [{"type": "approve"}]})`` lets it run; ``edit`` and ``reject`` are the other answers.

    Args:
        tools: what the model may call.
        llm: any chat model; ``ChatRose(policy=None)`` unless given, which steers as the guard says.
        guard: what judges each step; ``RoseGuardMiddleware()`` unless given.
        approve: names of tools whose every call waits.
        system: what the application itself tells the model.
        checkpointer: where threads are kept; without one, a call that waits is never made.

    Raises:
        SettingsError: if ``approve`` names a tool that there is not.
        PolicyViolation: (the graph) if the policy blocks the conversation.
    """
    names = [convert_to_openai_tool(tool)["function"]["name"] for tool in tools]
    if unknown := sorted(set(approve) - set(names)):
        raise SettingsError(f"approve names no tool of this agent: {', '.join(unknown)}; there are {', '.join(names)}")
    waiting = HumanInTheLoopMiddleware({name: _waits(always=name in approve) for name in names})
    middleware: list[Any] = [waiting, guard or RoseGuardMiddleware()]
    return create_agent(
        llm or ChatRose(policy=None),
        tools,
        system_prompt=system,
        middleware=middleware,
        checkpointer=checkpointer,
        name="guarded_agent",
    )


def _waits(*, always: bool) -> InterruptOnConfig:
    return InterruptOnConfig(
        allowed_decisions=["approve", "edit", "reject"],
        when=lambda request: always or not _is_harmless(request),
    )


def _is_harmless(request: ToolCallRequest) -> bool:
    """Whether a guard judged the conversation that led to the call, and none of its rules fired."""
    answer = next(message for message in reversed(request.state["messages"]) if isinstance(message, AIMessage))
    rose = answer.response_metadata.get("rose", {})
    return rose.get("action") == "allow" and not rose["hazards"] and not rose["attacks"]


def today() -> str:
    """Tell today's date."""
    return datetime.now(UTC).date().isoformat()


graph = served(lambda: build([today], approve=["today"]))
