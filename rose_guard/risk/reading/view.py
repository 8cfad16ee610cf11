"""View: a message's text read in one way, and where each of its characters stood in the message as written."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Edit = tuple[int, int, str]
"""Characters ``start`` to ``end`` of a text, and what is read in their place; a text's edits are in order and apart."""

WRITTEN = "written"


@dataclass(frozen=True, slots=True)
class View:
    """A text to score.

    Args:
        text: what is read.
        kind: ``written``, or what was undone to read it, joined by ``+``, such as ``unicode+base64``.
    """

    text: str
    kind: str
    _steps: tuple[_Step, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def written(cls, text: str) -> View:
        """The text as it stands in the message."""
        return cls(text, WRITTEN)

    def edited(self, kind: str, edits: Sequence[Edit]) -> View:
        """The view after edits of its text; itself where they change nothing.

        Args:
            kind: what the edits undo, such as ``base64``.
            edits: replacements, in order and without overlaps.
        """
        step = _Step.of(edits)
        text = _replaced(self.text, edits)
        if text == self.text:
            return self
        undone = [] if self.kind == WRITTEN else self.kind.split("+")
        return View(text, "+".join(dict.fromkeys([*undone, kind])), (*self._steps, step))

    def source(self, start: int, end: int) -> tuple[int, int]:
        """The smallest span of the message as written that holds all that was read as this span of the view.

        Args:
            start: first character in the view's text.
            end: one past the last; where it equals ``start``, so do the two ends of the answer.
        """
        for step in reversed(self._steps):
            start, end = step.source(start, end)
        return start, end


@dataclass(frozen=True, slots=True)
class _Step:
    """Edits as four columns: where each replacement stands in the new text, and what it replaced in the old one."""

    new_starts: tuple[int, ...]
    new_ends: tuple[int, ...]
    old_starts: tuple[int, ...]
    old_ends: tuple[int, ...]

    @classmethod
    def of(cls, edits: Sequence[Edit]) -> _Step:
        new_starts, new_ends, shift = [], [], 0
        for start, end, replacement in edits:
            new_starts.append(start + shift)
            shift += len(replacement) - (end - start)
            new_ends.append(end + shift)
        return cls(tuple(new_starts), tuple(new_ends), tuple(e[0] for e in edits), tuple(e[1] for e in edits))

    def source(self, start: int, end: int) -> tuple[int, int]:
        first, _ = self._character(start)
        if start >= end:
            return first, first
        _, last = self._character(end - 1)
        return first, last

    def _character(self, position: int) -> tuple[int, int]:
        """The span of the old text that became the new text's character at the position."""
        edit = bisect_right(self.new_starts, position) - 1
        if edit < 0:
            return position, position + 1
        if position < self.new_ends[edit]:
            return self.old_starts[edit], self.old_ends[edit]
        old = position - self.new_ends[edit] + self.old_ends[edit]
        return old, old + 1


def _replaced(text: str, edits: Sequence[Edit]) -> str:
    parts, done = [], 0
    for start, end, replacement in edits:
        parts += [text[done:start], replacement]
        done = end
    return "".join([*parts, text[done:]])
