"""Severity: how grave a hazard or attack is. It ranks rules that fire together, and tells a reader of decisions."""

from __future__ import annotations

from typing import Literal, get_args

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""From the lightest to the gravest."""
