"""Unsteerable: what a policy says of a conversation that is to be steered where the model cannot be."""

from __future__ import annotations

from typing import Literal, get_args

Unsteerable = Literal["warn", "route", "refuse"]
"""``warn`` decodes plainly and says so, ``route`` asks a local model that can be steered, ``refuse`` refuses."""

UNSTEERABLE: tuple[Unsteerable, ...] = get_args(Unsteerable)
"""From the mildest to the strictest."""
