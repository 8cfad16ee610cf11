"""Pseudonyms: what stands for principals, threads and turns in a store. Digests only; knows no store."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import TYPE_CHECKING

from rose_guard.errors import SettingsError

if TYPE_CHECKING:
    from rose_guard.memory.key import ConversationKey
    from rose_guard.memory.turn import RiskyTurn

MIN_SECRET_BYTES = 16


class Pseudonyms:
    """SHA-256 digests of names, or HMAC-SHA-256 (RFC 2104) under a secret.

    Without a secret, whoever reads the store can try names, such as a list of e-mail addresses, until one fits.

    Args:
        secret: at least 16 random bytes; all who share a store must have the same.

    Raises:
        SettingsError: if the secret is too short, or not bytes.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        if secret is not None and not (isinstance(secret, bytes) and len(secret) >= MIN_SECRET_BYTES):
            raise SettingsError(f"a memory's secret must be at least {MIN_SECRET_BYTES} random bytes")
        self._secret = secret

    def of(self, key: ConversationKey) -> str:
        """Stands for whoever's turns are counted together, as 64 hex digits.

        Raises:
            ConversationMemoryError: if there is neither a principal nor a thread.
        """
        return self._digest(*key.counted_by)

    def turn(self, turn: RiskyTurn, subject: str) -> RiskyTurn:
        """The turn with a digest that is of no use without the subject: the same text of two users does not show."""
        return replace(turn, digest=self._digest("turn", subject, turn.digest))

    @property
    def mark(self) -> str:
        """The same for those who have the same secret; does not tell the secret."""
        return self._digest("mark")

    def _digest(self, *names: str | None) -> str:
        written = b"".join(map(_written, names))
        if self._secret is None:
            return hashlib.sha256(written).hexdigest()
        return hmac.new(self._secret, written, hashlib.sha256).hexdigest()


def _written(name: str | None) -> bytes:
    """A name after its length, so that no name can run into the next; half characters stay what they are."""
    if name is None:
        return b"-"
    encoded = name.encode("utf-8", "surrogatepass")
    return b"%d:%s" % (len(encoded), encoded)
