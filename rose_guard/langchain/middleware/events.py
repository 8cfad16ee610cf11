"""What is told of rulings: to streams, and to whoever reads the agent's messages. Never a text of the conversation."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage

from rose_guard.langchain.metadata import rose_metadata

if TYPE_CHECKING:
    from rose_guard.guard import OutputVerdict
    from rose_guard.guard.ruling import Ruling
    from rose_guard.langchain.middleware.asks import Stage

EVENT = "rose_guard.decision"


def told(ruling: Ruling, verdict: OutputVerdict | None = None) -> dict[str, Any]:
    """What a message's ``response_metadata["rose"]`` says."""
    checked = {} if verdict is None else {"output": asdict(verdict)}
    return {**rose_metadata(ruling.decision, None, debug=False), **checked}


def event(stage: Stage, ruling: Ruling, verdict: OutputVerdict | None = None) -> dict[str, Any]:
    """What ``stream_mode="custom"`` shows."""
    return {"type": EVENT, "stage": stage, **told(ruling, verdict)}


def refusal(text: str, rose: dict[str, Any], *, message_id: str | None = None) -> AIMessage:
    """An answer in the model's stead."""
    metadata = {"model_provider": "rose_guard", "finish_reason": "content_filter", "rose": rose}
    return AIMessage(text, response_metadata=metadata, id=message_id)


def is_refusal(message: AIMessage) -> bool:
    """Whether a guard wrote it in a model's stead, or ended it."""
    return message.response_metadata.get("finish_reason") == "content_filter" and is_guarded(message)


def is_guarded(message: AIMessage) -> bool:
    """Whether it comes from a guarded model, or from a guard."""
    return isinstance(message.response_metadata.get("rose"), dict)


def is_checked(message: AIMessage) -> bool:
    """Whether it was checked while it was written, or is no model's."""
    return is_refusal(message) or (is_guarded(message) and "output" in message.response_metadata["rose"])
