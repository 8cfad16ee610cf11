"""Escalation: what repeated risky turns add to a rule. Who counts the turns stands elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rose_guard.errors import PolicyError
from rose_guard.policy.decision import strictness
from rose_guard.policy.ranges import is_from_to, is_whole

if TYPE_CHECKING:
    from rose_guard.policy.decision import Action

MAX_AFTER = 1_000_000
MAX_WITHIN_S = 366 * 24 * 3600.0
"""A year, in seconds: no memory of conversations reaches back further."""


@dataclass(frozen=True, slots=True)
class Escalation:
    """From so many earlier risky turns on, a rule that fires does more.

    Args:
        after: how many earlier turns fired the rule; the next one escalates.
        within_s: how far back turns count, in seconds.
        action: the rule's action then, where stricter than its band's: ``refuse`` or ``block``.
        notify: ask for a human.

    Raises:
        PolicyError: if a number is out of range, or it would change nothing.
    """

    after: int
    within_s: float
    action: Action | None = None
    notify: bool = False

    def __post_init__(self) -> None:
        if problems := self._problems():
            raise PolicyError([f"escalate.{problem}" for problem in problems])

    def is_due(self, risky_turns: float | None) -> bool:
        """Whether so many earlier turns suffice. None, for turns that nobody counts, never does; NaN always does."""
        return risky_turns is not None and not risky_turns < self.after

    def is_looser_than(self, other: Escalation) -> bool:
        """Whether it comes later, looks back less far, does less, or calls no human where the other does."""
        return (
            self.after > other.after
            or self.within_s < other.within_s
            or _strictness(self.action) < _strictness(other.action)
            or self.notify < other.notify
        )

    def _problems(self) -> list[str]:
        stricter = "'refuse' or 'block', since only these are stricter than whatever a rule that fires may do"
        laws = [
            (is_whole(self.after, 1, MAX_AFTER), f"after: must be a whole number from 1 to {MAX_AFTER}"),
            (
                is_from_to(self.within_s, 0.0, MAX_WITHIN_S) and self.within_s > 0,
                f"within_s: must be above 0 and at most {MAX_WITHIN_S:.0f} seconds",
            ),
            (self.action in (None, "refuse", "block"), f"action: must be {stricter}"),
            (isinstance(self.notify, bool), "notify: must be true or false"),
            (self.action is not None or self.notify, "action: give an `action`, `notify: true`, or both"),
        ]
        return [message for holds, message in laws if not holds]


def _strictness(action: Action | None) -> int:
    return 0 if action is None else strictness(action)
