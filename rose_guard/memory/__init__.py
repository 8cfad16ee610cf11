"""Conversation memory: how many risky turns came before, so that a policy can escalate. Plain Python; keeps no text."""

from rose_guard.memory.in_memory import InMemoryConversations
from rose_guard.memory.key import ConversationKey
from rose_guard.memory.memory import ConversationMemory, Windows
from rose_guard.memory.redis import RedisConversations
from rose_guard.memory.sqlite import SQLiteConversations
from rose_guard.memory.turn import RiskyTurn

__all__ = [
    "ConversationKey",
    "ConversationMemory",
    "InMemoryConversations",
    "RedisConversations",
    "RiskyTurn",
    "SQLiteConversations",
    "Windows",
]
