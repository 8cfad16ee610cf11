"""Views: the ways in which a text is read: as written, with tricks undone, and turned round from ROT13."""

from __future__ import annotations

import re

from rose_guard.errors import ClassifierError
from rose_guard.risk.deadline import check_deadline
from rose_guard.risk.reading.encodings import undo_encodings
from rose_guard.risk.reading.letters import undo_letters
from rose_guard.risk.reading.rot13 import undo_rot13
from rose_guard.risk.reading.unicode import undo_unicode
from rose_guard.risk.reading.view import View

MAX_ROUNDS = 4
"""How many layers of encoding are undone; spaced-out letters and leetspeak count as one each."""

_AMBIGUOUS = re.compile("[1\u202e]")
"""What may be read otherwise: a 1 in leetspeak, and the mark that shows letters from right to left."""


def views(text: str) -> list[View]:
    """The texts that must be scored for a message; what any of them asks for, the message asks for.

    Args:
        text: the message's content, or its name.

    Returns:
        One to four views with different texts: the text as written; where that changes it, the text after undoing
        characters, encodings and letters until nothing is left to undo; where a 1 or an order of letters may mean
        something else, the same with that; and where words are in ROT13, the second with them turned round.

    Raises:
        ClassifierError: if the text is encoded in more layers than are read, or the deadline has passed.
    """
    written = View.written(text)
    layers = _layers(written)
    plain = layers[-1]
    is_ambiguous = plain is not written and any(_AMBIGUOUS.search(layer.text) for layer in layers)
    otherwise = _layers(written, otherwise=True)[-1] if is_ambiguous else plain
    turned = undo_rot13(plain)
    last = plain if turned is plain else _layers(turned)[-1]
    found = [written]
    for view in (plain, otherwise, last):
        if view.text.strip() and view.text not in [other.text for other in found]:
            found.append(view)
    return found


def _layers(view: View, *, otherwise: bool = False) -> list[View]:
    """The view, and what it becomes layer by layer; nothing is left to undo in the last one."""
    layers = [view]
    for _ in range(MAX_ROUNDS):
        view = _round(layers[-1], otherwise=otherwise)
        if view is layers[-1]:
            return layers
        layers.append(view)
    if _round(view, otherwise=otherwise) is not view:
        raise ClassifierError(
            f"a text is encoded in more than {MAX_ROUNDS} layers, deeper than is read; write it with fewer"
        )
    return layers


def _round(view: View, *, otherwise: bool) -> View:
    """One layer less. Letters come last: what looks like leetspeak may be encoded."""
    check_deadline()
    decoded = undo_encodings(undo_unicode(view, as_shown=otherwise))
    check_deadline()
    return decoded if decoded is not view else undo_letters(view, one_is_i=otherwise)
