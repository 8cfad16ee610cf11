"""Guidance: the same contrast as transformers' own ``generate`` computes it, to check the engine against.

With ``guidance_scale = 1 / (1 − alpha)`` its scores are ROSE's times that scale plus a constant, so greedy choices are
the same up to the last digits of a floating-point number.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rose_guard.engines.engine import Contrast, Delta, Timing, Usage
from rose_guard.engines.worker import worker
from rose_guard.errors import ContextLengthError, SettingsError

if TYPE_CHECKING:
    from rose_guard.engines.engine import GenerationRequest


def guided(engine: Any, request: GenerationRequest) -> Delta:
    """A whole answer, decoded greedily by ``generate``.

    Args:
        engine: a :class:`~rose_guard.engines.transformers.TransformersEngine`.
        request: contrasts with one reverse prompt.

    Raises:
        SettingsError: if the engine holds no model of transformers, or the request draws tokens.
        ContextLengthError: if the longer prompt leaves no room for the answer.
    """
    if not hasattr(engine, "hf_model"):
        raise SettingsError("the arm 'cfg' needs a model of transformers in this process; leave it out")
    if request.settings.temperature != 0.0:
        raise SettingsError("guidance and contrast agree only where decoding is greedy; set temperature to 0")
    (reverse,) = request.reverse_prompts
    positive = engine.encode(request.messages, request.safe_prompt)
    negative = engine.encode(request.messages, reverse.text)
    longest = max(len(positive), len(negative))
    if engine.context_tokens is not None and longest + request.max_new_tokens > engine.context_tokens:
        raise ContextLengthError(longest, engine.context_tokens)
    started = time.perf_counter()
    tokens = worker.run(_generate, engine.hf_model, positive, negative, request)
    ended = bool(tokens) and tokens[-1] in _ends(engine.hf_model)
    return Delta(
        engine.hf_tokenizer.decode(tokens, skip_special_tokens=True),
        "stop" if ended else "length",
        Usage(len(positive), len(tokens)),
        Contrast(len(tokens), 0),
        Timing(time.perf_counter() - started),
    )


def _generate(model: Any, positive: list[int], negative: list[int], request: GenerationRequest) -> list[int]:
    import torch

    ids = torch.tensor([positive], device=model.device)
    reverse_ids = torch.tensor([negative], device=model.device)
    with torch.inference_mode():
        output = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=request.max_new_tokens,
            do_sample=False,
            guidance_scale=1.0 / (1.0 - request.settings.alpha),
            negative_prompt_ids=reverse_ids,
            negative_prompt_attention_mask=torch.ones_like(reverse_ids),
        )
    generated: list[int] = output[0, len(positive) :].tolist()
    return generated


def _ends(model: Any) -> set[int]:
    ends = model.generation_config.eos_token_id
    return set() if ends is None else {ends} if isinstance(ends, int) else set(ends)
