"""risk_router: ordinary questions go to a hosted model, risky ones to a local one that can be steered.

For whoever pays for a hosted model and wants what is risky answered at home, under ROSE, or not at all.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from rose_guard import ChatRose, GuardedChatModel, Policy
from rose_guard_chains.conversation import conversation
from rose_guard_chains.guarded_chat import SYSTEM
from rose_guard_chains.served import served

if TYPE_CHECKING:
    from pathlib import Path

    from langchain_core.language_models import BaseChatModel
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

    from rose_guard import LivePolicy

HOSTED_MODEL = "ROSE_GUARD_HOSTED_MODEL"
"""The environment variable that names the hosted model, as ``init_chat_model`` takes it."""

logger = logging.getLogger(__name__)


def build(
    hosted: BaseChatModel,
    *,
    local: ChatRose | None = None,
    policy: Policy | LivePolicy | str | Path | None = None,
    system: str = SYSTEM,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    **guard: Any,
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """A graph that takes ``{"messages": …}`` and adds the answer to them.

    What the policy allows, the hosted model answers; what it steers, the local one; what it refuses, its message. All
    by one decision. ``response_metadata["model_name"]`` tells who answered.

    Args:
        hosted: what answers ordinary questions.
        local: what answers those that are to be steered; ``ChatRose(policy=None)`` unless given. The router's policy
            decides; the local model's own is not asked.
        policy: what decides; it should say ``unsteerable: route``, since what it says there happens to risky questions.
            The shipped policy with that key unless given.
        system: what the application itself tells both models.
        checkpointer: where threads are kept, such as ``InMemorySaver()``; None forgets each conversation.
        guard: further fields of GuardedChatModel, such as ``audit`` or ``tenant``.

    Raises:
        PolicyViolation: (the graph) if the policy blocks the conversation.
    """
    router = GuardedChatModel(
        model=hosted,
        local=local or ChatRose(policy=None),
        policy=policy or Policy.from_yaml("version: 1\nunsteerable: route"),
        **guard,
    )
    return conversation(router, name="risk_router", system=system, checkpointer=checkpointer)


def _of_environment() -> CompiledStateGraph[Any, Any, Any, Any]:
    if name := os.environ.get(HOSTED_MODEL):
        from langchain.chat_models import init_chat_model

        return build(init_chat_model(name))
    logger.warning("%s is not set, so the local model answers everything; set it, as provider:model", HOSTED_MODEL)
    return build(ChatRose(policy=None))


graph = served(_of_environment)
