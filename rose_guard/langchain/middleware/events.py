"""What is told of rulings: to streams, and to whoever reads the agent's messages. Never a text of the conversation."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage

from rose_guard.langchain.metadata import rose_metadata

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

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
    """Whether a guard wrote it in a model's stead, or ended it; a provider's own filter is no guard."""
    rose = decided(message)
    refused = rose.get("action") in ("refuse", "block") or (rose.get("output") or {}).get("action") == "refuse"
    return refused and message.response_metadata.get("finish_reason") == "content_filter"


def is_guarded(message: AIMessage) -> bool:
    """Whether it comes from a guarded model, or from a guard."""
    return bool(decided(message))


def is_checked(message: AIMessage) -> bool:
    """Whether it was checked while it was written, or is no model's."""
    return is_refusal(message) or "output" in decided(message)


def found_clean(message: AIMessage, ruling: Ruling, verdict: OutputVerdict) -> AIMessage:
    """An answer that says of itself what its check found."""
    rose = {**told(ruling), **decided(message), "output": asdict(verdict)}
    return message.model_copy(update={"response_metadata": {**message.response_metadata, "rose": rose}})


def decided(message: BaseMessage) -> dict[str, Any]:
    """What a message says of the decision that it came by; nothing where it says none."""
    rose = message.response_metadata.get("rose")
    return rose if isinstance(rose, dict) else {}
