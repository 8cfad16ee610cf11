"""Private: a value that is written down as a keyed digest, unless the log was told to keep it in clear."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rose_guard.audit.chain import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.audit.key import AuditKey

Purpose = Literal["prompt", "answer", "principal", "thread"]
_TEXTS = ("prompt", "answer")
"""What ``prompts='clear'`` opens; who somebody is stays closed."""


@dataclass(frozen=True, slots=True)
class Private:
    """Something of a person's. It carries what it hides, and shows it to nobody.

    Args:
        purpose: what it is; equal values have unequal digests for different purposes.
        value: anything that JSON can write.
    """

    purpose: Purpose
    value: Any = field(repr=False)

    def written(self, key: AuditKey, *, clear: bool) -> dict[str, Any]:
        """``{"hmac": digest}``, or ``{"clear": value}`` for prompts and answers in clear."""
        if clear and self.purpose in _TEXTS:
            return {"clear": self.value}
        return {"hmac": key.digest(self.purpose, canonical(self.value))}


def settled(payload: Mapping[str, Any], key: AuditKey, *, clear: bool) -> dict[str, Any]:
    """A payload with its private values as they may be written."""
    return {
        name: value.written(key, clear=clear) if isinstance(value, Private) else value
        for name, value in payload.items()
    }
