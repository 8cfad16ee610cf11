"""Preference: which of two answers a judge finds better, asked in both orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["first", "second", "tie"]


@dataclass(frozen=True, slots=True)
class Preference:
    """What a judge said in each order, in terms of the answers themselves and not of their places.

    Args:
        forward: the better answer where the first was shown first.
        swapped: the better answer where the second was shown first.
    """

    forward: Side
    swapped: Side

    @property
    def consistent(self) -> bool:
        """Whether the order made no difference."""
        return self.forward == self.swapped

    @property
    def better(self) -> Side:
        """What both orders say; a tie where they disagree."""
        return self.forward if self.consistent else "tie"
