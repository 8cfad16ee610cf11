"""Runner: what reads tokens into rows and gives logits. One protocol, two ways.

:class:`PackedRunner` reads many rows in one forward pass. :class:`SerialRunner` reads them one after the other with
transformers' own cache; it is slower and holds for every model with a key-value cache. :func:`runner_for` takes the
first where it can be shown to give the same logits.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from rose_guard.decoding.packed_runner import NotPackable, PackedRunner
from rose_guard.decoding.serial_runner import SerialRunner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)


class Runner(Protocol):
    """Reads tokens into rows.

    A read is a row, the tokens to append to it, and of how many of the last of them logits are wanted.
    """

    bytes_per_token: int
    """Memory of one token's keys and values, over all layers."""
    model_s: float
    """Seconds spent in the model's own forward passes so far."""
    packs: bool
    """Whether rows share forward passes, can be saved and loaded, and can take tokens back."""

    def row_bytes(self, tokens: int) -> int:
        """Memory that a row for at most so many tokens takes; 0 where that is not known."""
        ...

    def reserve(self, rows: Sequence[int]) -> None:
        """Make room at once for rows that are about to be opened, given how many tokens each must hold."""
        ...

    def open(self, tokens: int) -> Any:
        """An empty row for at most so many tokens."""
        ...

    def close(self, row: Any) -> None:
        """Free a row."""
        ...

    def copy(self, row: Any, tokens: int) -> Any:
        """A new row for at most so many tokens that has read what this one has."""
        ...

    def read(self, reads: Sequence[tuple[Any, Sequence[int], int]]) -> list[Tensor]:
        """Append tokens to rows.

        Returns:
            For each read its logits, ``(wanted, vocabulary)``, in the model's dtype, on its device.

        Raises:
            DecodingError: if the forward pass fails.
        """
        ...


def runner_for(model: PreTrainedModel) -> PackedRunner | SerialRunner:
    """The fastest runner that gives the model's own logits."""
    try:
        return PackedRunner(model)
    except NotPackable as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - the other runner asks less of a model
        reason = f"its probe failed with {type(error).__name__}"
    logger.warning("%s is decoded one sequence at a time, which is slower: %s", type(model).__name__, reason)
    return SerialRunner(model)
