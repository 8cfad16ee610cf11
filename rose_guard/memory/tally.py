"""Tally: what is remembered of one principal or thread, and how it is counted. Pure values; every store uses it."""

from __future__ import annotations

import heapq
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rose_guard.errors import ConversationMemoryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.memory.memory import Windows
    from rose_guard.memory.turn import RiskyTurn


@dataclass(frozen=True, slots=True)
class LabelTally:
    """The newest risky turns of one label.

    The windows come from a policy, which may change between two turns. So the widest of them says what is kept, and
    the least ``after`` says whether an escalation is due.

    Args:
        least_after: the smallest ``after`` that asked for it.
        most_after: the largest.
        longest_s: the longest window, in seconds.
        turns: when each turn was, in seconds since the epoch, by digest.
    """

    least_after: int
    most_after: int
    longest_s: float
    turns: Mapping[str, float]

    def count(self, turn: RiskyTurn, within_s: float) -> int:
        """How many turns other than this one lie within the window before it, or after it."""
        return sum(digest != turn.digest and at + within_s > turn.at for digest, at in self.turns.items())

    def add(self, turn: RiskyTurn, after: int, within_s: float) -> LabelTally:
        """With this turn, and without those that no count needs.

        One more than ``after`` is kept: a turn that is tried again does not count itself.
        """
        most_after = max(self.most_after, after)
        turns = {**self.turns, turn.digest: max(turn.at, self.turns.get(turn.digest, -math.inf))}
        kept = heapq.nlargest(most_after + 1, turns, key=lambda digest: (turns[digest], digest))
        return LabelTally(
            min(self.least_after, after),
            most_after,
            max(self.longest_s, within_s),
            {digest: turns[digest] for digest in kept},
        )

    @property
    def newest(self) -> float:
        """When the latest turn was."""
        return max(self.turns.values())

    @property
    def live_until(self) -> float:
        """Until when an escalation is due; minus infinity where none is."""
        if len(self.turns) < self.least_after:
            return -math.inf
        return heapq.nlargest(self.least_after, self.turns.values())[-1] + self.longest_s


@dataclass(frozen=True, slots=True)
class Tally:
    """The risky turns of one principal or thread, by label."""

    labels: Mapping[str, LabelTally] = field(default_factory=dict)

    def counts(self, turn: RiskyTurn, windows: Windows) -> dict[str, int]:
        """As :meth:`~rose_guard.memory.memory.ConversationMemory.count_and_add` returns them."""
        return {
            label: min(after, self.labels[label].count(turn, within_s)) if label in self.labels else 0
            for label, (after, within_s) in windows.items()
        }

    def add(self, turn: RiskyTurn, windows: Windows) -> Tally:
        """With this turn, for those of its labels that have a window."""
        labels = dict(self.labels)
        for label in set(turn.labels) & set(windows):
            after, within_s = windows[label]
            before = labels.get(label, LabelTally(after, after, within_s, {}))
            labels[label] = before.add(turn, after, within_s)
        return Tally(labels)

    @property
    def newest(self) -> float:
        """When the latest turn was."""
        return max(label.newest for label in self.labels.values())

    @property
    def expires(self) -> float:
        """From when on no window holds any of its turns."""
        return max(label.newest + label.longest_s for label in self.labels.values())

    @property
    def live_until(self) -> float:
        """Until when an escalation is due; minus infinity where none is."""
        return max(label.live_until for label in self.labels.values())

    def dump(self) -> str:
        """As canonical JSON."""
        labels = {
            name: [label.least_after, label.most_after, label.longest_s, dict(label.turns)]
            for name, label in self.labels.items()
        }
        return json.dumps(labels, sort_keys=True, separators=(",", ":"))

    @classmethod
    def load(cls, dumped: str | bytes | None) -> Tally:
        """From JSON; an empty one where there is none.

        Raises:
            ConversationMemoryError: if it is not what :meth:`dump` wrote.
        """
        if dumped is None:
            return cls()
        try:
            read = {name: _label(*entry) for name, entry in json.loads(dumped).items()}
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            raise ConversationMemoryError(
                "an entry of the conversation memory cannot be read; remove the memory to begin anew, or restore it"
            ) from None
        return cls(read)


def _label(least_after: int, most_after: int, longest_s: float, turns: dict[str, float]) -> LabelTally:
    if not turns or not all(math.isfinite(number) for number in (least_after, most_after, longest_s, *turns.values())):
        raise ValueError("not an entry")
    if type(least_after) is not int or type(most_after) is not int:
        raise TypeError("not an entry")
    return LabelTally(least_after, most_after, longest_s, turns)
