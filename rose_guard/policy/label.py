"""Labels: the names of hazards and attacks, in taxonomy order, and which of the two each one is."""

from __future__ import annotations

from typing import Literal

from rose_guard.taxonomy import ATTACKS, HAZARDS

LABELS: tuple[str, ...] = (*HAZARDS, *ATTACKS)


def group_of(label: str) -> Literal["hazards", "attacks"]:
    """The key of a policy file under which a label is listed."""
    return "attacks" if label in ATTACKS else "hazards"
