"""Means: what a guard has to answer a turn with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rose_guard.guard.answer_key import Makers


@dataclass(frozen=True, slots=True)
class Means:
    """What a guard has to answer a turn with.

    Args:
        records: whether there is an audit log.
        steers: whether the model can be steered.
        local: whether there is an engine that can be, in the model's place.
        makers: who answers, for the keys of kept answers; None keeps none.
    """

    records: bool
    steers: bool = True
    local: bool = False
    makers: Makers | None = None
