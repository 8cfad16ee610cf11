"""The guard: where classifier, policy, engine, memory and audit log meet."""

from rose_guard.guard.answer import Answer, OutputVerdict, Piece
from rose_guard.guard.answer_store import AnswerStore, StoredAnswer
from rose_guard.guard.guard import Guard
from rose_guard.guard.options import GenerationOptions
from rose_guard.guard.ruling import Ruling

__all__ = [
    "Answer",
    "AnswerStore",
    "GenerationOptions",
    "Guard",
    "OutputVerdict",
    "Piece",
    "Ruling",
    "StoredAnswer",
]
