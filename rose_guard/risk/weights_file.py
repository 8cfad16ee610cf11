"""Weights in a safetensors file, with what they are told in its metadata as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rose_guard.errors import ModelLoadError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

_ABOUT = "about"


def read_weights(path: Path, what: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a file says of itself, and its tensors.

    Args:
        path: the file.
        what: what it should hold, for messages.

    Raises:
        ModelLoadError: if it is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(_ABOUT, "{}"))
            return about, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelLoadError(f"cannot read the {what} {path.name}: {type(error).__name__}") from error


def write_weights(path: Path, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a file; the same weights always give the same bytes."""
    from safetensors.torch import save_file

    # One entry only: safetensors writes several in no particular order.
    save_file({name: t.contiguous() for name, t in tensors.items()}, path, metadata={_ABOUT: json.dumps(dict(about))})
