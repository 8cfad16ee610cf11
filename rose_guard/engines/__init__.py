"""Engines: a conversation and its contrast in, checked text out. One file per runtime behind one protocol."""

from rose_guard.engines.engine import (
    AsyncDeltaStream,
    Constraint,
    Contrast,
    Delta,
    DeltaStream,
    Engine,
    GenerationRequest,
    ReversePrompt,
    Timing,
    TokenLogprob,
    Usage,
)

__all__ = [
    "AsyncDeltaStream",
    "Constraint",
    "Contrast",
    "Delta",
    "DeltaStream",
    "Engine",
    "GenerationRequest",
    "ReversePrompt",
    "Timing",
    "TokenLogprob",
    "Usage",
]
