"""AuditKey: the secret that an audit log is chained with. Kept outside the log, and never shown."""

from __future__ import annotations

import hashlib
import hmac
import os
import shlex
import stat
from pathlib import Path
from typing import NoReturn

from rose_guard.errors import AuditError

MIN_BYTES = 32
_MAX_CHARACTERS = 4096
_SALT = b"rose_guard audit 1"


class AuditKey:
    """Two subkeys drawn from one secret: one chains lines, one makes digests of private texts.

    They are derived as HKDF does (RFC 5869, SHA-256, one block each), so that neither tells anything of the other. The
    secret itself is not kept. Whoever has it can verify a log, and forge one.

    Args:
        secret: at least 32 random bytes.

    Raises:
        AuditError: if it is no bytes, or too short.
    """

    __slots__ = ("_chaining", "_digesting")

    def __init__(self, secret: bytes) -> None:
        if not isinstance(secret, bytes):
            raise AuditError(
                "an audit key is made of bytes; use AuditKey.from_file or AuditKey.from_env for hex digits"
            )
        if len(secret) < MIN_BYTES:
            raise AuditError(
                f"an audit key has at least {MIN_BYTES} bytes, and this one {len(secret)}; make one with "
                f"secrets.token_bytes({MIN_BYTES})"
            )
        extracted = hmac.digest(_SALT, secret, hashlib.sha256)
        self._chaining = hmac.digest(extracted, b"chain\x01", hashlib.sha256)
        self._digesting = hmac.digest(extracted, b"digest\x01", hashlib.sha256)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> AuditKey:
        """Read a key from a file of at least 64 hex digits, which nobody but its owner may read.

        Raises:
            AuditError: if it cannot be read, others may read it, or it holds no such key.
        """
        path = Path(path)
        command = f"(umask 077; openssl rand -hex {MIN_BYTES} > {shlex.quote(str(path))})"
        return cls(_secret(_owners_text(path, command), f"the key file {path}", command))

    @classmethod
    def from_env(cls, name: str) -> AuditKey:
        """Read a key of at least 64 hex digits from an environment variable.

        Raises:
            AuditError: if the variable is not set, or holds no such key.
        """
        command = f'export {name}="$(openssl rand -hex {MIN_BYTES})"'
        text = os.environ.get(name)
        if text is None:
            raise AuditError(f"the environment variable {name} is not set; make a key with: {command}")
        return cls(_secret(text, f"the environment variable {name}", command))

    def mac(self, data: bytes) -> str:
        """HMAC-SHA256 of a line, as 64 hex digits."""
        return hmac.digest(self._chaining, data, hashlib.sha256).hex()

    def digest(self, purpose: str, data: bytes) -> str:
        """HMAC-SHA256 of something private, as 64 hex digits.

        Args:
            purpose: what it is; the same data has another digest for another purpose.
            data: what nobody shall read in the log.
        """
        return hmac.digest(self._digesting, purpose.encode() + b"\x00" + data, hashlib.sha256).hex()

    def __repr__(self) -> str:
        return "AuditKey(<hidden>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an audit key is not copied or pickled; read it anew in each process")


def _owners_text(path: Path, command: str) -> str:
    """A key file's text, once it is known that only its owner may read it."""
    try:
        # Were it a pipe, opening it would wait for somebody to write.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise AuditError(
            f"the key file {path} cannot be read ({error.strerror}); make a key with: {command}"
        ) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise AuditError(f"{path} is no file; make a key with: {command}")
        if status.st_mode & 0o077:
            raise AuditError(
                f"others than its owner may use the key file {path} (mode {stat.S_IMODE(status.st_mode):04o}); shut "
                f"them out with: chmod 600 {shlex.quote(str(path))} - and if they may have read it, make another key "
                f"with: {command}"
            )
        return os.read(descriptor, _MAX_CHARACTERS + 1).decode("ascii", errors="replace")
    except OSError as error:
        raise AuditError(f"the key file {path} cannot be read ({error.strerror}); check the disk") from error
    finally:
        os.close(descriptor)


def _secret(text: str, where: str, command: str) -> bytes:
    """The bytes that hex digits stand for; a complaint never repeats them."""
    try:
        secret = bytes.fromhex(text if len(text) <= _MAX_CHARACTERS else "too long")
    except ValueError:
        raise AuditError(f"{where} does not hold hex digits and nothing else; make a key with: {command}") from None
    if len(secret) < MIN_BYTES:
        raise AuditError(
            f"{where} holds {len(secret)} bytes in hex digits, and a key has at least {MIN_BYTES}; make one with: "
            f"{command}"
        )
    return secret
