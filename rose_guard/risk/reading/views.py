"""Views: the ways in which a text is read: as written, with tricks undone, and turned round from ROT13."""

from __future__ import annotations

from rose_guard.errors import ClassifierError
from rose_guard.risk.deadline import check_deadline
from rose_guard.risk.reading.encodings import undo_encodings
from rose_guard.risk.reading.letters import undo_letters
from rose_guard.risk.reading.rot13 import undo_rot13
from rose_guard.risk.reading.unicode import undo_unicode
from rose_guard.risk.reading.view import View

MAX_ROUNDS = 4
"""How many layers of encoding are undone; spaced-out letters and leetspeak count as one each."""


def views(text: str) -> list[View]:
    """The texts that must be scored for a message; what any of them asks for, the message asks for.

    Args:
        text: the message's content, or its name.

    Returns:
        One to three views with different texts: the text as written; where that changes it, the text after undoing
        characters, encodings and letters until nothing is left to undo; and where words are in ROT13, that with them
        turned round.

    Raises:
        ClassifierError: if the text is encoded in more layers than are read, or the deadline has passed.
    """
    written = View.written(text)
    plain = _undone(written)
    turned = undo_rot13(plain)
    last = plain if turned is plain else _undone(turned)
    found = [written]
    for view in (plain, last):
        if view.text.strip() and view.text not in [other.text for other in found]:
            found.append(view)
    return found


def _undone(view: View) -> View:
    for _ in range(MAX_ROUNDS):
        before, view = view, _round(view)
        if view is before:
            return view
    if _round(view) is not view:
        raise ClassifierError(
            f"a text is encoded in more than {MAX_ROUNDS} layers, deeper than is read; write it with fewer"
        )
    return view


def _round(view: View) -> View:
    """One layer less. Letters come last: what looks like leetspeak may be encoded."""
    check_deadline()
    decoded = undo_encodings(undo_unicode(view))
    check_deadline()
    return decoded if decoded is not view else undo_letters(view)
