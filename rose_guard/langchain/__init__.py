"""LangChain adapters: they translate, and never decide."""

from rose_guard.langchain.chat_model import ChatRose
from rose_guard.langchain.llm import RoseLLM

__all__ = ["ChatRose", "RoseLLM"]
