"""RoseGuardState: what the middleware keeps in an agent's state. An id, and nothing that says more."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from langchain.agents.middleware.types import AgentState, PrivateStateAttr


class RoseGuardState(AgentState[Any]):
    """State of an agent that is guarded."""

    rose_decision: NotRequired[Annotated[str | None, PrivateStateAttr]]
    """Id of the decision on the messages as they stand. The decision itself stays in the process, and counts for the
    messages that it was made for and no others. No caller can set it."""
