"""BatchSettings: how much a batch may hold. A plain value; imports no torch."""

from __future__ import annotations

from pydantic import Field

from rose_guard.decoding.settings import CheckedSettings

MEBIBYTE = 2**20


class BatchSettings(CheckedSettings):
    """Limits of one engine; frozen and checked.

    Raises:
        SettingsError: if a value is unknown or out of its range.
    """

    max_branches: int = Field(default=64, ge=1)
    """Branches decoded at once, those of all requests together; a steered request has two or more."""
    max_queue: int = Field(default=256, ge=0)
    """Requests that may wait; with more, a request raises EngineOverloadedError."""
    queue_timeout_s: float = Field(default=0.0, ge=0.0)
    """How long a request may wait for a place in a full queue before it raises; 0 raises at once."""
    kv_cache_bytes: int | None = Field(default=None, ge=1)
    """Memory for the keys and values of running requests. A request starts when those of all its branches fit, to its
    last token. None takes half of what was free at the start."""
    prefix_cache_bytes: int = Field(default=128 * MEBIBYTE, ge=0)
    """Memory for prompts' beginnings kept for later requests; 0 keeps none."""
    prefill_tokens: int = Field(default=512, ge=1)
    """Prompt tokens read in one step while answers are being decoded, so that a long prompt does not hold them up;
    twice as many while none is."""
    prompt_lookup_num_tokens: int = Field(default=8, ge=0)
    """The longest draft copied from the prompt or the answer; 0 drafts nothing. Answers are the same either way."""
    pack_weights: bool | None = None
    """Keep the weights of bfloat16 linear layers on a CPU as its matrix library wants them, which makes a step about
    a quarter faster and takes no memory. The model's own layers are replaced, with the same products and state dict,
    but it can then be neither trained nor moved to another device. None does so for models that the engine loads."""
