"""guarded_chat: a question in, a guarded answer as text out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from rose_guard import ChatRose

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import Runnable


def build(
    llm: BaseChatModel | None = None, *, system: str = "You are a helpful assistant."
) -> Runnable[dict[str, str], str]:
    """A chain that takes ``{"question": …}`` and gives the answer's text.

    Args:
        llm: the guarded model; ``ChatRose()`` unless given.
        system: what the application itself tells the model; the guard's prompts come on top of it.
    """
    prompt = ChatPromptTemplate.from_messages([("system", "{system}"), ("human", "{question}")])
    return prompt.partial(system=system) | (llm or ChatRose()) | StrOutputParser()
