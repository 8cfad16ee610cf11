"""TokenChooser: from scores to one token, as transformers' own ``generate`` would choose it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import LogitsProcessor

from rose_guard.errors import DecodingError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import GenerationConfig, PreTrainedModel

    from rose_guard.decoding.settings import RoseSettings

_FROM_CONFIG = ("top_k", "top_p", "min_p", "repetition_penalty")


class TokenChooser:
    """Applies penalties, the model's generation_config (bans, warpers) and a draw to scores, and picks a token.

    Args:
        model: the model whose generation_config is followed where the settings are silent.
        prompt_ids: the positive prompt.
        settings: penalties, bias, temperature, top_k, top_p, min_p and seed.
        max_new_tokens: as for ``generate``; some processors depend on it.

    Raises:
        SettingsError: if the model's generation_config asks for what cannot be followed here, such as beam search.
    """

    def __init__(
        self, model: PreTrainedModel, prompt_ids: Sequence[int], settings: RoseSettings, max_new_tokens: int
    ) -> None:
        config = _generation_config(model, settings, len(prompt_ids) + max_new_tokens)
        untyped: Any = model
        # transformers offers no public way to build the processors that a generation_config stands for; building
        # them anew here would drift from what `generate` does, which is the thing to equal.
        untyped._prepare_special_tokens(config, device=model.device)  # noqa: SLF001
        self._processors = untyped._get_logits_processor(  # noqa: SLF001
            generation_config=config,
            input_ids_seq_length=len(prompt_ids),
            logits_processor=_own_processors(model, len(prompt_ids), settings),
            device=model.device,
        )
        self.samples = bool(config.do_sample)
        self.eos_token_ids = token_ids(config.eos_token_id)
        self._seen = torch.empty(1, len(prompt_ids) + max_new_tokens, dtype=torch.long, device=model.device)
        self._seen[0, : len(prompt_ids)] = torch.tensor(prompt_ids)
        self._length = len(prompt_ids)
        self._generator = torch.Generator(device=model.device) if self.samples else None
        if self._generator is not None and settings.seed is None:
            self._generator.seed()
        elif self._generator is not None:
            self._generator.manual_seed(settings.seed or 0)

    def choose(self, scores: Tensor) -> int:
        """The next token of the answer; the one after it is chosen knowing this one.

        Each position is drawn once and in order, so the draw depends on the seed and the position alone.

        Args:
            scores: shape ``(vocabulary,)``.

        Raises:
            DecodingError: if the processors left no token to choose.
        """
        token_id = self._pick(self._process(scores))
        if self._length < self._seen.shape[1]:
            self._seen[0, self._length] = token_id
        self._length += 1
        return token_id

    def _process(self, scores: Tensor) -> Tensor:
        if not self._processors:
            return scores
        processed: Tensor = self._processors(self._seen[:, : self._length], scores[None, :])[0]
        return processed

    def _pick(self, scores: Tensor) -> int:
        if not self.samples:
            token_id = best_token(scores)
            if not scores[token_id] > -torch.inf:  # also where it is NaN
                raise DecodingError(_NOTHING_LEFT)
            return token_id
        if scores.isnan().any() or not (scores > -torch.inf).any():
            raise DecodingError(_NOTHING_LEFT)
        return int(torch.multinomial(scores.softmax(dim=-1), num_samples=1, generator=self._generator))


def best_token(scores: Tensor) -> int:
    """The first of the tokens with the highest score, as ``scores.argmax()``; on a CPU NumPy finds it ten times faster.

    Args:
        scores: float32 of shape ``(vocabulary,)``.
    """
    return int(scores.numpy().argmax() if scores.device.type == "cpu" else scores.argmax())


_NOTHING_LEFT = "no token is left to choose after grammar, penalties and the model's logits processors; relax them"


class _Penalties(LogitsProcessor):
    """Presence and frequency penalties over the answer's tokens."""

    def __init__(self, prompt_tokens: int, presence: float, frequency: float) -> None:
        self._prompt_tokens, self._presence, self._frequency = prompt_tokens, presence, frequency

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        tokens, counts = torch.unique(input_ids[0, self._prompt_tokens :], return_counts=True)
        scores = scores.clone()
        scores[0, tokens] -= self._presence + self._frequency * counts.to(scores.dtype)
        return scores


class _Bias(LogitsProcessor):
    """Adds to the scores of some tokens."""

    def __init__(self, ids: Tensor, values: Tensor) -> None:
        self._ids, self._values = ids, values

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002 - transformers' signature
        return scores.index_add(1, self._ids, self._values[None].to(scores.dtype))


def _own_processors(model: PreTrainedModel, prompt_tokens: int, settings: RoseSettings) -> list[LogitsProcessor]:
    """What a generation_config has no place for, or, as for a bias, none that takes plain token ids."""
    processors: list[LogitsProcessor] = []
    if settings.presence_penalty or settings.frequency_penalty:
        processors.append(_Penalties(prompt_tokens, settings.presence_penalty, settings.frequency_penalty))
    if settings.logit_bias:
        vocabulary = model.config.get_text_config().vocab_size
        if unknown := [i for i in settings.logit_bias if not 0 <= i < vocabulary]:
            raise SettingsError(f"logit_bias names the tokens {unknown}, but the model has only 0 to {vocabulary - 1}")
        ids = torch.tensor(list(settings.logit_bias), device=model.device)
        processors.append(_Bias(ids, torch.tensor(list(settings.logit_bias.values()), device=model.device)))
    return processors


def _generation_config(model: PreTrainedModel, settings: RoseSettings, max_length: int) -> GenerationConfig:
    changes: dict[str, Any] = {"max_length": max_length, "guidance_scale": None}
    if settings.temperature is not None:
        changes["do_sample"] = settings.temperature > 0
        changes["temperature"] = settings.temperature or 1.0
    for name in _FROM_CONFIG:
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


def token_ids(ids: int | list[int] | None) -> frozenset[int]:
    """A generation_config's one id, several, or none, as a set."""
    if ids is None:
        return frozenset()
    return frozenset([ids] if isinstance(ids, int) else ids)
