"""Which numbers lie in a range; anything else than a number lies in none."""

from __future__ import annotations

import math
from typing import TypeGuard


def is_whole(value: object, low: int, high: int) -> TypeGuard[int]:
    """Whether it is a whole number from ``low`` to ``high``."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_from_to(value: object, low: float, high: float) -> TypeGuard[float]:
    """Whether it is a finite number from ``low`` to ``high``, both included."""
    return _is_number(value) and low <= value <= high


def is_between(value: object, low: float, high: float) -> TypeGuard[float]:
    """Whether it is a finite number above ``low`` and below ``high``."""
    return _is_number(value) and low < value < high


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)
