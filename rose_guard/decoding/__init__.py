"""Reverse prompt contrastive decoding (ROSE, arXiv 2402.11889): token ids in, token ids out.

Knows no text, no policy and no LangChain. :func:`rose_generate` loads torch and transformers when first used;
RoseSettings is a plain value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rose_guard.decoding.settings import RoseSettings

if TYPE_CHECKING:
    from rose_guard.decoding.generation import Step
    from rose_guard.decoding.loop import decode, rose_generate

__all__ = ["RoseSettings", "Step", "decode", "rose_generate"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'rose_guard.decoding' has no attribute {name!r}")
    from rose_guard.decoding import generation, loop

    return getattr(generation if name == "Step" else loop, name)
