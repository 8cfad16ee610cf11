"""Text from elsewhere, marked in a message so that it is judged by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.messages import TextContentBlock

_MARK = "rose_guard_untrusted"


def untrusted(text: str, *, source: str | None = None) -> TextContentBlock:
    """A content block for text that neither the user nor the developer wrote, such as a retrieved document.

    It reads as any text block does; the guard judges it by itself, beside the message that it stands in, so that what
    is hidden in a document does not drown in the rest.

    Args:
        text: the document, or a part of it.
        source: where it is from, for the application's own use.
    """
    return {"type": "text", "text": text, "extras": {_MARK: True, "source": source}}


def is_untrusted(block: Any) -> bool:
    """Whether a content block was marked so."""
    extras = block.get("extras") if isinstance(block, dict) else None
    return isinstance(extras, dict) and extras.get(_MARK) is True
