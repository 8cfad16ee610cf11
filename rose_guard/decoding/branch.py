"""Branch: one of the sequences that are decoded in lock-step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from rose_guard.errors import DecodingError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one branch reads first.

    Args:
        ids: its tokens.
        shared_tokens: how many of the first ones are a policy's or a template's own, and may be kept for everybody.
    """

    ids: tuple[int, ...]
    shared_tokens: int = 0


@dataclass(eq=False, slots=True)
class Branch:
    """One of the sequences that are decoded in lock-step.

    Args:
        role: ``positive`` or ``reverse``, for error messages.
        prompt: what it reads before the answer.
        alpha: its weight in the contrast; 0 for the positive branch.
        row: its place in the runner, while it runs.
        logits: what it says of the tokens to choose in this step, ``(tokens, vocabulary)``; None until it has read
            everything.
    """

    role: str
    prompt: Prompt
    alpha: float = 0.0
    row: Any = None
    logits: Tensor | None = None


def finite_logits(branch: Branch) -> Tensor:
    """A branch's logits in float32.

    Raises:
        DecodingError: if one is not finite.
    """
    assert branch.logits is not None
    logits = branch.logits.float()
    if not torch.isfinite(logits.sum()):  # one pass; a single NaN or infinity makes the sum one
        raise DecodingError(
            f"the {branch.role} branch gave logits that are not finite, so no token was chosen; "
            f"try dtype='float32', and check the weights"
        )
    return logits
