"""The contrast itself: a pure function from the branches' logits to the scores a token is chosen from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def contrast(
    positive_logits: Tensor,
    reverse_logits: Sequence[Tensor],
    alphas: Sequence[float],
    *,
    beta: float = 0.0,
    normalised: bool = False,
    allowed: Tensor | None = None,
) -> Tensor:
    """``l⁺ − Σᵢ alphaᵢ · l⁻ᵢ``, optionally over ``1 − Σ alphaᵢ``, with forbidden and implausible tokens at −inf.

    Args:
        positive_logits: raw logits of the positive branch, shape ``(..., vocabulary)``.
        reverse_logits: raw logits of each reverse branch, same shape.
        alphas: weight of each reverse branch, summing to less than 1.
        beta: tokens with ``p⁺ < beta · max p⁺`` become −inf (arXiv 2210.15097); 0 keeps all.
        normalised: divide by ``1 − Σ alphaᵢ``, which leaves the order of tokens as it is.
        allowed: tokens that a grammar admits, bool of the same shape; the maximum that ``beta`` refers to is taken
            over these, so that a grammar and beta together always leave a token.

    Returns:
        Scores of the same shape. With no reverse branch and no mask they are the positive logits.
    """
    scores = positive_logits
    for logits, alpha in zip(reverse_logits, alphas, strict=True):
        scores = scores - alpha * logits
    if normalised:
        scores = scores / (1.0 - math.fsum(alphas))
    if allowed is not None:
        positive_logits = positive_logits.masked_fill(~allowed, -math.inf)
        scores = scores.masked_fill(~allowed, -math.inf)
    if beta > 0.0:
        floor = positive_logits.amax(dim=-1, keepdim=True) + math.log(beta)
        scores = scores.masked_fill(positive_logits < floor, -math.inf)
    return scores
