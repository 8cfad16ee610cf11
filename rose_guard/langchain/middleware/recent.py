"""Recent: what was kept last, by key; the oldest goes when there is no more room."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """A bounded memory of this process; safe to share between threads.

    Args:
        room: how many values it holds.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._kept: OrderedDict[object, T] = OrderedDict()
        self._lock = Lock()

    def keep(self, key: object, value: T) -> T:
        """Remember a value, which is given back."""
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            if len(self._kept) > self._room:
                self._kept.popitem(last=False)
        return value

    def find(self, key: object) -> T | None:
        """The value kept under a key, if it is still there."""
        with self._lock:
            return self._kept.get(key)
