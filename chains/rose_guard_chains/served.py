"""Served: what langgraph.json names, one factory per chain. Importing it loads no model."""

from __future__ import annotations

import asyncio
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig  # noqa: TC002 - servers read the signature when they run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from langgraph.graph.state import CompiledStateGraph


def served(
    build: Callable[[], CompiledStateGraph[Any, Any, Any, Any]],
) -> Callable[[RunnableConfig], Awaitable[CompiledStateGraph[Any, Any, Any, Any]]]:
    """A factory as a LangGraph server calls it: for every run, on its event loop.

    The graph is built once, on a thread. It has no checkpointer, since a server brings its own.

    Args:
        build: builds the graph.
    """
    built, lock = cache(build), Lock()

    def once() -> CompiledStateGraph[Any, Any, Any, Any]:
        with lock:
            return built()

    async def graph(config: RunnableConfig) -> CompiledStateGraph[Any, Any, Any, Any]:  # noqa: ARG001 - servers pass it
        return await asyncio.to_thread(once)

    return graph
