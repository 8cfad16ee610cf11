"""How likely a model finds given continuations of a prompt, by teacher forcing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from rose_guard.decoding.packed_runner import PackedRunner
    from rose_guard.decoding.serial_runner import SerialRunner


@torch.inference_mode()
def continuation_logprobs(
    runner: PackedRunner | SerialRunner, prompt: Sequence[int], continuations: Sequence[Sequence[int]]
) -> list[float]:
    """``Σᵢ log p(cᵢ | prompt, c₁ … cᵢ₋₁)`` for each continuation ``c``; the prompt is read once.

    Args:
        runner: what reads tokens.
        prompt: at least one token.
        continuations: at least one token each.

    Raises:
        DecodingError: if a forward pass fails.
    """
    untyped: Any = runner
    rows = [untyped.open(len(prompt))]
    try:
        (following,) = untyped.read([(rows[0], list(prompt), 1)])
        rows += [untyped.copy(rows[0], len(prompt) + len(continuation)) for continuation in continuations]
        reads = [(row, list(c[:-1]), len(c) - 1) for row, c in zip(rows[1:], continuations, strict=True) if len(c) > 1]
        later = iter(untyped.read(reads) if reads else ())
        return [_sum(torch.cat([following, next(later)]) if len(c) > 1 else following, c) for c in continuations]
    finally:
        for row in rows:
            untyped.close(row)


def _sum(logits: Tensor, tokens: Sequence[int]) -> float:
    """The log-probability of tokens, given logits for each of their places."""
    logprobs = logits.double().log_softmax(dim=-1)
    wanted = torch.tensor(tokens, device=logits.device)[:, None]
    return float(logprobs.gather(1, wanted).sum())
