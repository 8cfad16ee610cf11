"""PackedE5: reads multilingual-e5-small from a packed file of four-bit weights. Bytes in, arrays and pieces out.

Everything is little-endian. The magic ``E5S1`` and a version are followed by the sizes of a BERT encoder, a unigram
vocabulary (byte offsets, scores and the pieces themselves), a table that normalises characters, and a directory of
tensors. A tensor is float32, or Q4_0 as GGUF has it: blocks of 32 weights, each a float16 scale and sixteen bytes whose
lower and upper halves are the weights ``i`` and ``i + 16``, ``weight = scale · (half - 8)``.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import astuple, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rose_guard.errors import ModelLoadError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Tensor = NDArray[Any]

MAGIC = b"E5S1"
VERSION = 1
BLOCK = 32
BLOCK_BYTES = 2 + BLOCK // 2
_FLOATS, _PACKED = 0, 1
MIDDLE = 8
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Sizes:
    """The encoder's sizes, as the file states them."""

    hidden: int
    layers: int
    attention_heads: int
    intermediate: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float
    block: int

    def __post_init__(self) -> None:
        """Refuse what cannot be an encoder's sizes."""
        whole = astuple(self)[:7]
        if min(whole) < 1 or max(whole) > _LARGEST or self.hidden % self.attention_heads or self.block != BLOCK:
            raise ValueError("no sizes of an encoder")


@dataclass(frozen=True)
class PackedE5:
    """What the file holds.

    Args:
        digest: SHA-256 of the file.
        sizes: of the encoder.
        pieces: the vocabulary's pieces with their log-probabilities, by token id.
        first: id of the token that begins a text.
        last: id of the token that ends it.
        padding: id of the token that fills a batch.
        unknown: id of the token for what no piece covers.
        tensors: by name, flat; float32, or uint8 of shape ``(blocks, 18)`` for packed ones.
    """

    digest: str
    sizes: Sizes
    pieces: list[tuple[str, float]]
    first: int
    last: int
    padding: int
    unknown: int
    tensors: Mapping[str, Tensor]

    @classmethod
    def load(cls, path: Path) -> PackedE5:
        """Read a file.

        Raises:
            ModelLoadError: if it is missing, cut short or damaged, or is something else.
        """
        try:
            content = path.read_bytes()
            reader = _Reader(content)
            if reader.take(len(MAGIC)) != MAGIC or reader.values("<I") != (VERSION,):
                raise ValueError("not this format")  # noqa: TRY301 - every way of being damaged ends alike
            sizes = Sizes(*reader.values("<7ifi"))
            pieces, first, last, padding, unknown = _vocabulary(reader)
            reader.take(reader.values("<iI")[1])  # what the table does, `unigram_tokenizer` does without it
            tensors = _tensors(reader)
        except (OSError, ValueError, struct.error, UnicodeDecodeError, IndexError) as error:
            raise ModelLoadError(
                f"{path.name} is missing or damaged, or no packed multilingual-e5-small; install it again with "
                f"`rose-guard model install --multilingual`"
            ) from error
        return cls(hashlib.sha256(content).hexdigest(), sizes, pieces, first, last, padding, unknown, tensors)

    def floats(self, name: str, *shape: int) -> NDArray[np.float32]:
        """A tensor as float32 in its shape.

        Raises:
            ModelLoadError: if the file has no such tensor, or one of another size.
        """
        stored = self._stored(name)
        values = unpacked(stored) if stored.dtype == np.uint8 else stored
        if values.size != np.prod(shape):
            raise ModelLoadError(f"the packed encoder's tensor {name!r} has another size than the encoder; {_AGAIN}")
        return np.array(values.reshape(shape), dtype=np.float32)

    def blocks(self, name: str, rows: int, columns: int) -> NDArray[np.uint8]:
        """A packed matrix as it is, ``(rows, bytes of a row)``.

        Raises:
            ModelLoadError: if the file has no such packed tensor, or one of another size.
        """
        stored = self._stored(name)
        if stored.dtype != np.uint8 or columns % BLOCK or stored.size != rows * columns // BLOCK * BLOCK_BYTES:
            raise ModelLoadError(f"the packed encoder's tensor {name!r} has another size than the encoder; {_AGAIN}")
        return np.array(stored.reshape(rows, -1))

    def _stored(self, name: str) -> Tensor:
        if name not in self.tensors:
            raise ModelLoadError(f"the packed encoder has no tensor {name!r}; {_AGAIN}")
        return self.tensors[name]


def unpacked(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The weights of Q4_0 blocks of shape ``(blocks, 18)``, as float32 of shape ``(blocks, 32)``."""
    scales = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    halves = np.concatenate([blocks[:, 2:] & 0x0F, blocks[:, 2:] >> 4], axis=1).astype(np.float32)
    return scales * (halves - MIDDLE)


class _Reader:
    """Reads a buffer from front to back; never past its end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, count: int) -> bytes:
        start, self._at = self._at, self._at + count
        return self.slice(start, count)

    def values(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def slice(self, start: int, count: int) -> bytes:
        if not 0 <= start <= start + count <= len(self._content):
            raise ValueError("cut short")
        return self._content[start : start + count]


def _vocabulary(reader: _Reader) -> tuple[list[tuple[str, float]], int, int, int, int]:
    count, first, last, padding, unknown, length = reader.values("<5iQ")
    ends = np.frombuffer(reader.take(4 * (count + 1)), "<u4")
    scores = np.frombuffer(reader.take(4 * count), "<f4").tolist()
    text = reader.take(length)
    if ends[0] or ends[-1] != length or (np.diff(ends.astype(np.int64)) < 0).any():
        raise ValueError("pieces out of order")
    if not all(0 <= special < count for special in (first, last, padding, unknown)):
        raise ValueError("special tokens out of range")
    pieces = [text[start:end].decode() for start, end in pairwise(ends)]
    return list(zip(pieces, scores, strict=True)), first, last, padding, unknown


def _tensors(reader: _Reader) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for _ in range(reader.values("<i")[0]):
        name = reader.take(reader.values("<H")[0]).decode()
        kind, count, start, size = reader.values("<BIQQ")
        content = reader.slice(start, size)
        if kind == _FLOATS and size == 4 * count:
            found[name] = np.frombuffer(content, "<f4")
        elif kind == _PACKED and size * BLOCK == count * BLOCK_BYTES:
            found[name] = np.frombuffer(content, np.uint8).reshape(-1, BLOCK_BYTES)
        else:
            raise ValueError("a tensor of another size")
    return found


_AGAIN = "install it again with `rose-guard model install --multilingual`"
