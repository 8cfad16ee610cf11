"""The guard: where classifier, policy, engine, memory and audit log meet."""

from rose_guard.guard.answer import Answer, OutputVerdict, Piece
from rose_guard.guard.guard import Guard
from rose_guard.guard.options import GenerationOptions

__all__ = ["Answer", "GenerationOptions", "Guard", "OutputVerdict", "Piece"]
