"""Engines: a conversation and its contrast in, checked text out. One file per runtime behind one protocol."""

from rose_guard.engines.engine import Contrast, Delta, Engine, GenerationRequest, ReversePrompt, Usage

__all__ = ["Contrast", "Delta", "Engine", "GenerationRequest", "ReversePrompt", "Usage"]
