"""The policy that ships with rose_guard, read once. Its locks hold for every other one."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from rose_guard.policy.document import PolicyDocument
from rose_guard.policy.resolution import resolve

if TYPE_CHECKING:
    from rose_guard.policy.parts import PolicyParts


@cache
def shipped_parts() -> PolicyParts:
    """What the shipped policy says."""
    with as_file(files("rose_guard.policy").joinpath("default.yaml")) as path:
        return resolve(PolicyDocument.read(path), None)
