"""Reading: what of a conversation must be scored, and in which ways each text of it reads. Standard library only."""

from rose_guard.risk.reading.passages import MAX_CHARACTERS, Passage, passages
from rose_guard.risk.reading.view import View
from rose_guard.risk.reading.views import views

__all__ = ["MAX_CHARACTERS", "Passage", "View", "passages", "views"]
