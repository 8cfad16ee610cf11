"""Subject: one model, run plainly by transformers and under the guard by the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from rose_guard.decoding.batch_settings import BatchSettings
from rose_guard.decoding.settings import RoseSettings
from rose_guard.engines import embedded
from rose_guard.engines.engine import GenerationRequest, ReversePrompt
from rose_guard.engines.transformers import TransformersEngine
from rose_guard.engines.worker import worker
from rose_guard.guard import GenerationOptions, Guard
from rose_guard.policy.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

    from rose_guard.engines.engine import Delta
    from rose_guard.message import Message
    from rose_guard.risk.classifier import RiskClassifier

ALPHA = 0.5
GREEDY = RoseSettings(alpha=0.0, temperature=0.0)


class Subject:
    """What is measured.

    Args:
        engine: holds the model.
        plain_model: the same model as transformers loads it, its layers untouched.
        classifier: scores prompts where the whole guard is measured; None where it is not.
    """

    def __init__(
        self, engine: TransformersEngine, plain_model: PreTrainedModel, classifier: RiskClassifier | None
    ) -> None:
        self.engine = engine
        self._plain_model = plain_model
        self.dtype = str(engine.hf_model.dtype).removeprefix("torch.")
        policy = Policy.default()
        self._safe, self._reverse = policy.safe_prompt("generic"), policy.reverse_prompt("generic")
        self._guard = Guard(engine, classifier=classifier, policy=policy) if classifier else None

    @classmethod
    def load(cls, model_id: str | None, dtype: str, device: str, classifier: RiskClassifier | None) -> Subject:
        """A model by hub id or folder, or the embedded one, on a device; loaded once for each side."""
        return cls(engine(model_id, dtype, device), plain_engine(model_id, dtype, device).hf_model, classifier)

    def reverse_tokens(self, conversation: tuple[Message, ...]) -> int:
        """Tokens that the reverse branch reads before the answer."""
        return len(self._encode(conversation, self._reverse))

    def plain(
        self, conversations: Sequence[tuple[Message, ...]], max_new_tokens: int, *, safe: bool = False, **options: Any
    ) -> int:
        """Tokens that ``model.generate`` gives for a padded batch, with or without the safe prompt."""
        lead = self._safe if safe else None
        return worker.run(self._generate, [self._encode(c, lead) for c in conversations], max_new_tokens, options)

    def cfg(self, conversation: tuple[Message, ...], max_new_tokens: int) -> int:
        """Tokens that ``model.generate`` gives with ``guidance_scale``, which are ROSE's when greedy."""
        device = self._plain_model.device
        negative = torch.tensor([self._encode(conversation, self._reverse)], device=device)
        options = {
            "guidance_scale": 1 / (1 - ALPHA),
            "negative_prompt_ids": negative,
            "negative_prompt_attention_mask": torch.ones_like(negative),
        }
        return worker.run(self._generate, [self._encode(conversation, self._safe)], max_new_tokens, options)

    def steered(self, conversation: tuple[Message, ...], max_new_tokens: int) -> GenerationRequest:
        """A request whose every token is contrasted."""
        return GenerationRequest(
            conversation,
            self._safe,
            (ReversePrompt(self._reverse),),
            GREEDY.updated(alpha=ALPHA),
            max_new_tokens=max_new_tokens,
        )

    def allowed(
        self, conversation: tuple[Message, ...], max_new_tokens: int, *, safe: bool = False
    ) -> GenerationRequest:
        """A request that is decoded plainly, with or without the safe prompt."""
        lead = self._safe if safe else None
        return GenerationRequest(conversation, lead, settings=GREEDY, max_new_tokens=max_new_tokens)

    def run(self, requests: Sequence[GenerationRequest]) -> list[Delta]:
        """Decode requests together; the last delta of each."""
        return [list(stream)[-1] for stream in self.engine.streams(requests)]

    def guarded(self, conversation: tuple[Message, ...], max_new_tokens: int) -> int:
        """Tokens of an answer under the default policy, classifier included."""
        assert self._guard is not None
        answer = self._guard.answer(conversation, options=GenerationOptions(GREEDY, max_new_tokens=max_new_tokens))
        assert answer.decision.action == "allow", "the benchmark's prompts are harmless"
        return tokens_of(answer.last.delta)

    def _encode(self, conversation: tuple[Message, ...], lead: str | None) -> list[int]:
        return self.engine.encode(conversation, lead)

    def _generate(self, prompts: list[list[int]], max_new_tokens: int, options: dict[str, Any]) -> int:
        model: Any = self._plain_model
        longest = max(len(ids) for ids in prompts)
        pad = self.engine.hf_tokenizer.pad_token_id or 0
        ids = torch.tensor([[pad] * (longest - len(p)) + p for p in prompts], device=model.device)
        mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=model.device)
        output = model.generate(
            ids, attention_mask=mask, max_new_tokens=max_new_tokens, do_sample=False, pad_token_id=pad, **options
        )
        ends = _as_set(model.generation_config.eos_token_id)
        return sum(_length(row, ends) for row in output[:, longest:].tolist())


def engine(model_id: str | None, dtype: str, device: str) -> TransformersEngine:
    """The engine as a user gets it."""
    if model_id is not None:
        return TransformersEngine.from_pretrained(model_id, dtype=dtype, device_map=device)
    return TransformersEngine.embedded(dtype=dtype) if device == "cpu" else plain_engine(None, dtype, device)


def plain_engine(model_id: str | None, dtype: str, device: str) -> TransformersEngine:
    """An engine around a model whose own layers stay as they are."""
    settings = BatchSettings(pack_weights=False)
    if model_id is not None:
        return TransformersEngine.from_pretrained(model_id, dtype=dtype, device_map=device, settings=settings)
    model, tokenizer = embedded.load(dtype)
    untyped: Any = model
    return TransformersEngine(untyped.to(device), tokenizer, model_id=embedded.MODEL_ID, settings=settings)


def tokens_of(delta: Delta) -> int:
    """Tokens generated for an answer, the end-of-sequence token included."""
    assert delta.usage is not None
    return delta.usage.output_tokens


def _length(tokens: list[int], ends: set[int]) -> int:
    return next((i + 1 for i, token in enumerate(tokens) if token in ends), len(tokens))


def _as_set(ids: int | list[int] | None) -> set[int]:
    return set() if ids is None else {ids} if isinstance(ids, int) else set(ids)
