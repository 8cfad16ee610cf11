"""TokenChooser: from scores to one token, as transformers' own ``generate`` would choose it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from rose_guard.errors import DecodingError, SettingsError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import GenerationConfig, PreTrainedModel

    from rose_guard.decoding.settings import RoseSettings


class TokenChooser:
    """Applies the model's generation_config (penalties, bans, warpers) to scores and picks a token.

    Args:
        model: the model whose generation_config is followed where the settings are silent.
        prompt_tokens: length of the positive prompt, in tokens.
        settings: temperature, top_k, top_p, min_p and seed.
        max_new_tokens: as for ``generate``; some processors depend on it.

    Raises:
        SettingsError: if the model's generation_config asks for what cannot be followed here, such as beam search.
    """

    def __init__(self, model: PreTrainedModel, prompt_tokens: int, settings: RoseSettings, max_new_tokens: int) -> None:
        config = _generation_config(model, settings, prompt_tokens + max_new_tokens)
        untyped: Any = model
        # transformers offers no public way to build the processors that a generation_config stands for; building
        # them anew here would drift from what `generate` does, which is the thing to equal.
        untyped._prepare_special_tokens(config, device=model.device)  # noqa: SLF001
        self._processors = untyped._get_logits_processor(  # noqa: SLF001
            generation_config=config, input_ids_seq_length=prompt_tokens, device=model.device
        )
        self.samples = bool(config.do_sample)
        self.eos_token_ids = _token_ids(config.eos_token_id)
        self._generator = torch.Generator(device=model.device)
        if settings.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(settings.seed)

    def choose(self, ids: Tensor, scores: Tensor) -> int:
        """The next token.

        Args:
            ids: prompt and tokens so far, shape ``(1, tokens)``.
            scores: shape ``(vocabulary,)``.

        Raises:
            DecodingError: if the processors left no token to choose.
        """
        processed: Tensor = self._processors(ids, scores[None, :])[0]
        if processed.isnan().any() or not (processed > -torch.inf).any():
            raise DecodingError("no token is left to choose after the model's logits processors; relax them")
        if not self.samples:
            return int(processed.argmax())
        return int(torch.multinomial(processed.softmax(dim=-1), num_samples=1, generator=self._generator))


def _generation_config(model: PreTrainedModel, settings: RoseSettings, max_length: int) -> GenerationConfig:
    changes: dict[str, Any] = {"max_length": max_length, "guidance_scale": None}
    if settings.temperature is not None:
        changes["do_sample"] = settings.temperature > 0
        changes["temperature"] = settings.temperature or 1.0
    for name in ("top_k", "top_p", "min_p"):
        if (value := getattr(settings, name)) is not None:
            changes[name] = value
    untyped: Any = model
    config: GenerationConfig
    config, _ = untyped._prepare_generation_config(None, **changes)  # noqa: SLF001
    unsupported = {
        "num_beams": (config.num_beams or 1) > 1,
        "stop_strings": config.stop_strings,
        "max_time": config.max_time,
    }
    for name, is_set in unsupported.items():
        if is_set:
            raise SettingsError(f"the model's generation_config sets {name}, which ROSE cannot follow; unset it")
    return config


def _token_ids(ids: int | list[int] | None) -> frozenset[int]:
    if ids is None:
        return frozenset()
    return frozenset([ids] if isinstance(ids, int) else ids)
