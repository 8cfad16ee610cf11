"""GuardModel: a language model trained to judge conversations, as a classifier."""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from rose_guard.assessment import RiskAssessment
from rose_guard.errors import ClassifierError, SettingsError
from rose_guard.risk.classifier import Classifier
from rose_guard.risk.deadline import check_deadline
from rose_guard.risk.guard_models.granite_guardian import GraniteGuardian
from rose_guard.risk.guard_models.guard_prompt import GuardPrompt
from rose_guard.risk.guard_models.label_likelihood import LabelLikelihood, context_tokens
from rose_guard.risk.guard_models.llama_guard import LlamaGuard
from rose_guard.risk.guard_models.qwen3guard import Qwen3Guard
from rose_guard.risk.guard_models.shieldgemma import ShieldGemma
from rose_guard.risk.guard_models.wildguard import WildGuard
from rose_guard.risk.guard_models.windows import READING, pieces
from rose_guard.risk.pretrained import load_pretrained
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from rose_guard.assessment import Span
    from rose_guard.message import Message
    from rose_guard.risk.guard_models.adapter import GuardAdapter
    from rose_guard.risk.guard_models.windows import Turn

ADAPTERS: dict[str, type[GuardAdapter]] = {
    adapter.name: adapter for adapter in (LlamaGuard, Qwen3Guard, ShieldGemma, WildGuard, GraniteGuardian)
}
WINDOW_TOKENS = 4096
ANSWER_TOKENS = 128
"""Room that is kept free for what an answer may be."""
KEPT_VERDICTS = 512


class GuardModel(Classifier):
    """Scores conversations by how likely a guard model gives each of its answers.

    Every passage is judged by itself in every view, as if a user said it, long ones in overlapping windows, and a
    conversation also as a whole where the model understands one. The highest score counts, and its span is named.
    Verdicts on the last 512 texts are kept, so that a growing conversation is not read anew at every turn.

    What a model knows nothing of scores 0; each adapter says what that is. Attacks above all: most guard models judge
    harm alone. Combine it with a classifier that knows them.

    Args:
        model: a causal language model; it is put into evaluation mode and otherwise left as it is.
        tokenizer: its tokenizer, with the model's own chat template.
        adapter: how it is asked.
        model_id: its name; the model's own unless given.
        window_tokens: the longest prompt, instructions included, that is read at once; never more than the model's
            context.

    Raises:
        ModelLoadError: if the chat template is missing or shows no text.
        SettingsError: if windows have no room for an answer.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        adapter: GuardAdapter,
        *,
        model_id: str | None = None,
        window_tokens: int = WINDOW_TOKENS,
    ) -> None:
        self.hf_model = model
        model.train(mode=False)
        self.adapter = adapter
        self._model_id = model_id or model.config.name_or_path or type(model).__name__
        self._prompt = GuardPrompt(
            tokenizer,
            chat_template=adapter.chat_template,
            generation_prompt=adapter.generation_prompt,
            question=adapter.questions[0],
        )
        self._longest = min(window_tokens, context_tokens(model) - ANSWER_TOKENS)
        if self._longest < 1:
            raise SettingsError(f"window_tokens = {window_tokens}: windows must hold a prompt and leave room to answer")
        self._scores = lru_cache(maxsize=KEPT_VERDICTS)(self._judge)
        self._lock = Lock()

    @classmethod
    def from_pretrained(
        cls,
        id_or_path: str | Path,
        adapter: GuardAdapter | str | None = None,
        *,
        window_tokens: int = WINDOW_TOKENS,
        **hf_kwargs: Any,
    ) -> GuardModel:
        """Load a guard model by hub id or folder.

        Args:
            id_or_path: what ``AutoModelForCausalLM.from_pretrained`` takes.
            adapter: how it is asked, or the name of the family; chosen by the model's name unless given.
            window_tokens: as for the constructor.
            hf_kwargs: passed on (``dtype``, ``device_map``, ``revision`` …). Weights must be safetensors unless
                ``use_safetensors=False`` asks for pickled ones by name, and no code of a repository runs unless
                ``trust_remote_code=True`` allows it.

        Raises:
            ModelLoadError: if it cannot be found or loaded.
            SettingsError: if no adapter has that name, or none fits the model's; the message lists them.
        """
        from transformers import AutoModelForCausalLM

        chosen = adapter_for(str(id_or_path)) if adapter is None else adapter
        chosen = _named(chosen) if isinstance(chosen, str) else chosen
        model, tokenizer = load_pretrained(AutoModelForCausalLM, id_or_path, "a guard model", **hf_kwargs)
        return cls(model, tokenizer, chosen, model_id=str(id_or_path), window_tokens=window_tokens)

    @property
    def name(self) -> str:
        """The family, the model, its revision where known, its dtype, and a digest of how it is asked."""
        asked = (self._prompt.chat_template, self.adapter.settings, self._longest, READING)
        return f"{self.adapter.name}:{identity(self.hf_model, self._model_id, asked)}"

    @property
    def known_labels(self) -> frozenset[str]:
        """Those that its adapter names."""
        return self.adapter.known_labels

    def assess(self, messages: Sequence[Message]) -> RiskAssessment:
        """As the protocol says."""
        with self._lock:
            read = [
                (self._scores(piece.turns), piece.span)
                for piece in pieces(messages, self._fits, together=self.adapter.together)
            ]
        return highest(read, self.name)

    def forget(self) -> None:
        """Drop the verdicts that are kept; needed when the model's weights were changed."""
        self._scores.cache_clear()

    def _fits(self, turns: tuple[Turn, ...]) -> bool:
        check_deadline()
        return all(len(self._prompt.encode(turns, asked)) <= self._longest for asked in self.adapter.questions)

    def _judge(self, turns: tuple[Turn, ...]) -> dict[str, float]:
        def ask(question: Mapping[str, Any]) -> LabelLikelihood:
            return LabelLikelihood(self.hf_model, self._prompt.tokenizer, self._prompt.encode(turns, question))

        return self.adapter.verdict(ask).scores()


def adapter_for(model_id: str) -> str:
    """The name of the family that a model belongs to, by its own name.

    Raises:
        SettingsError: if it is none of the known ones.
    """
    base = model_id.rstrip("/\\").replace("\\", "/").rsplit("/", maxsplit=1)[-1]
    for name, adapter in ADAPTERS.items():
        if adapter.knows(base):
            return name
    raise SettingsError(
        f"no adapter is known for {model_id!r}; pass adapter=, one of: {', '.join(ADAPTERS)}. A model with a "
        f"classification head, such as Prompt Guard, is for SequenceClassifier"
    )


def highest(read: Iterable[tuple[Mapping[str, float], Span]], classifier: str) -> RiskAssessment:
    """An assessment of the highest score of each label, with the span that gave it.

    Args:
        read: scores for ``harmful`` and every label, and where they came from; at least one.
        classifier: what scored.

    Raises:
        ClassifierError: if a score is not a number.
    """
    best: dict[str, tuple[float, Span]] = {}
    for scores, span in read:
        for label, score in scores.items():
            if not math.isfinite(score):
                raise ClassifierError(f"classifier {classifier!r} gave {label} a score that is no number")
            if label not in best or score > best[label][0]:
                best[label] = (score, span)
    return RiskAssessment(
        harmful=best["harmful"][0],
        hazards={hazard: best[hazard][0] for hazard in HAZARDS},
        attacks={attack: best[attack][0] for attack in ATTACKS},
        spans={label: span for label, (_, span) in best.items()},
        classifier=classifier,
    )


def identity(model: PreTrainedModel, model_id: str, settings: object) -> str:
    """Names a model for a classifier's name: its id, revision where known, dtype, and a digest of settings."""
    revision = getattr(model.config, "_commit_hash", None)
    at = f"@{revision}" if revision else ""
    digest = hashlib.sha256(repr(settings).encode()).hexdigest()[:8]
    return f"{model_id}{at}:{str(model.dtype).removeprefix('torch.')}:{digest}"


def _named(name: str) -> GuardAdapter:
    if name not in ADAPTERS:
        raise SettingsError(f"no adapter is called {name!r}; known are: {', '.join(ADAPTERS)}")
    return ADAPTERS[name]()
