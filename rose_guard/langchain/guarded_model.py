"""GuardedModel: the fields that ChatRose and RoseLLM share, and the guard that they stand for."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)

from rose_guard.decoding.settings import RoseSettings
from rose_guard.engines.engine import Engine
from rose_guard.errors import SettingsError
from rose_guard.guard import GenerationOptions, Guard
from rose_guard.policy.policy import Policy
from rose_guard.risk.classifier import RiskClassifier

if TYPE_CHECKING:
    from rose_guard.engines.engine import Delta
    from rose_guard.guard import Piece
    from rose_guard.policy.decision import Decision

DEFAULT = "default"
EMBEDDED = "embedded"
CONFIG = ConfigDict(arbitrary_types_allowed=True, extra="forbid", populate_by_name=True, protected_namespaces=())
"""A misspelled argument is an error; models repeat this, since LangChain's base classes would ignore it."""
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "seed")
_ANSWER = ("beta", "normalised", "max_tokens", "stop", "language", "expose")


class GuardedModel(BaseModel):
    """Fields of every guarded LangChain model. The model itself loads when it is first needed."""

    model_config = CONFIG

    model: Any = Field(default=None, exclude=True, repr=False)
    """A loaded transformers model, with its ``tokenizer``; None runs the embedded one."""
    tokenizer: Any = Field(default=None, exclude=True, repr=False)
    """The tokenizer of ``model``."""
    engine: InstanceOf[Engine] | None = Field(default=None, exclude=True, repr=False)
    """What decodes, where it is neither of the above."""
    dtype: str = "float32"
    """Precision of the embedded model; loaded models keep their own."""
    policy: InstanceOf[Policy] | str | Path | None = Field(default=DEFAULT, exclude=True, repr=False)
    """A policy, the path of a policy file, ``"default"``, or None to decode plainly."""
    classifier: InstanceOf[RiskClassifier] | None = Field(default=None, exclude=True, repr=False)
    """What scores risk; None uses the embedded classifier where the policy needs scores."""

    temperature: float | None = None
    """0 is greedy; None follows the model's generation_config, as the sampling fields below do."""
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    seed: int | None = None
    beta: float | None = None
    """Plausibility threshold of the contrast, see RoseSettings."""
    normalised: bool | None = None
    """Whether contrasted scores are divided by 1 − alpha, see RoseSettings."""
    max_tokens: int = Field(default=256, validation_alias=AliasChoices("max_tokens", "max_new_tokens"))
    """Limit of an answer, in tokens."""
    stop: list[str] | None = None
    """An answer ends before the first of these strings."""
    language: str = "en"
    """Language of prompts and messages, where the policy has it."""
    expose: Literal["summary", "debug"] = "summary"
    """``debug`` adds scores, reason, contrast and timing to ``response_metadata["rose"]``."""

    timeout: float | None = Field(default=None, exclude=True, repr=False)
    """Accepted so that models can be swapped; a local model has no request to time out."""
    max_retries: int | None = Field(default=None, exclude=True, repr=False)
    """Accepted so that models can be swapped; what fails here would fail again."""
    api_key: SecretStr | None = Field(default=None, exclude=True, repr=False)
    """Accepted so that models can be swapped; never read."""

    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _guard: Guard | None = PrivateAttr(default=None)

    @field_validator("policy", mode="after")
    @classmethod
    def _load_policy(cls, policy: Policy | str | Path | None) -> Policy | None:
        if policy == DEFAULT:
            return Policy.default()
        return Policy.load(policy) if isinstance(policy, str | Path) else policy

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.policy == DEFAULT:  # pydantic does not validate defaults
            self.policy = Policy.default()
        if self.engine is not None and self.model is not None:
            raise SettingsError("give either engine= or model= and tokenizer=, not both")
        if (self.model is None) != (self.tokenizer is None):
            raise SettingsError("model= and tokenizer= belong together; give both, or from_pretrained(id)")
        if isinstance(self.model, str | Path):
            raise SettingsError("model= takes a loaded transformers model; use from_pretrained(id_or_path) for a name")
        self._options(None)  # so that a wrong setting is refused here, not at the first answer
        return self

    @classmethod
    def from_pretrained(cls, id_or_path: str | Path, **kwargs: Any) -> Self:
        """Run any causal language model of transformers that has a chat template.

        Args:
            id_or_path: hub id or folder.
            kwargs: fields of this class (``policy``, ``temperature`` …); everything else, ``dtype`` and
                ``device_map`` among them, goes to ``AutoModelForCausalLM.from_pretrained``.

        Raises:
            ModelLoadError: if it cannot be loaded or has no usable chat template.
        """
        from rose_guard.engines.transformers import TransformersEngine

        own = {name: kwargs.pop(name) for name in list(kwargs) if name in _own_fields(cls)}
        return cls(engine=TransformersEngine.from_pretrained(id_or_path, **kwargs), **own)

    @classmethod
    def from_pipeline(cls, pipeline: Any, **kwargs: Any) -> Self:
        """Share the weights of a ``langchain_huggingface.HuggingFacePipeline``, or of a transformers pipeline.

        Raises:
            SettingsError: if it holds no transformers model and tokenizer.
        """
        pipeline = getattr(pipeline, "pipeline", pipeline)
        model, tokenizer = getattr(pipeline, "model", None), getattr(pipeline, "tokenizer", None)
        if model is None or tokenizer is None:
            raise SettingsError("from_pipeline takes a HuggingFacePipeline, or a transformers text-generation pipeline")
        return cls(model=model, tokenizer=tokenizer, **kwargs)

    @property
    def guard(self) -> Guard:
        """The guard behind this model; the first use loads model and classifier.

        Raises:
            ModelLoadError: if either is missing; the message names the command that mends it.
        """
        with self._lock:
            if self._guard is None:
                self._guard = self._build_guard()
            return self._guard

    @property
    def hf_model(self) -> Any:
        """The loaded transformers model, where the engine runs one in this process."""
        return getattr(self.guard.engine, "hf_model", None)

    @property
    def hf_tokenizer(self) -> Any:
        """Its tokenizer, likewise."""
        return getattr(self.guard.engine, "hf_tokenizer", None)

    def get_token_ids(self, text: str) -> list[int]:
        """A text in the model's own tokens."""
        return self.guard.engine.token_ids(text)

    def _build_guard(self) -> Guard:
        from rose_guard.engines.transformers import TransformersEngine

        policy = self.policy if isinstance(self.policy, Policy) else None
        engine = self.engine
        if engine is None and self.model is not None:
            engine = TransformersEngine(self.model, self.tokenizer)
        classifier = self.classifier
        if classifier is None and policy is not None and policy.ungated is None:
            if policy.classifier != EMBEDDED:
                raise SettingsError(f"the policy is written for the classifier {policy.classifier!r}; pass classifier=")
            from rose_guard.risk.embedded import EmbeddedClassifier

            classifier = EmbeddedClassifier.shared()
        return Guard(engine or TransformersEngine.embedded(dtype=self.dtype), classifier=classifier, policy=policy)

    def _options(self, stop: list[str] | None, **call: Any) -> GenerationOptions:
        """This model's settings with those of one call over them.

        Raises:
            SettingsError: if a call names a setting that there is not.
        """
        sampling = {name: call.pop(name, getattr(self, name)) for name in _SAMPLING}
        max_new_tokens = call.pop("max_new_tokens", call.pop("max_tokens", self.max_tokens))
        if call:
            raise SettingsError(
                f"unknown call settings {', '.join(sorted(call))}; a call may set {', '.join(_SAMPLING)}, max_tokens "
                f"and stop"
            )
        return GenerationOptions(
            settings=RoseSettings(beta=self.beta, normalised=self.normalised, **sampling),
            max_new_tokens=max_new_tokens,
            stop=tuple(stop if stop is not None else self.stop or ()),
            language=self.language,
        )

    def _parameters(self) -> dict[str, Any]:
        """Everything that changes an answer; LangChain's cache keys on it."""
        guard = self.guard
        return {
            "model_name": guard.engine.model_id,
            "policy_digest": guard.policy.digest if guard.policy else None,
            "classifier": guard.classifier.name if guard.classifier else None,
            **{name: getattr(self, name) for name in (*_SAMPLING, *_ANSWER)},
        }

    def _response_metadata(self, piece: Piece) -> dict[str, Any]:
        """Metadata of an answer, from its last piece."""
        return {
            "model_name": self.guard.engine.model_id,
            "model_provider": "rose_guard",
            "finish_reason": piece.delta.finish_reason,
            "rose": rose_metadata(piece.decision, piece.delta, debug=self.expose == "debug"),
        }


def rose_metadata(decision: Decision, last: Delta | None, *, debug: bool) -> dict[str, Any]:
    """What is told of a decision and of the answer that it led to, if any; ids of reverse prompts, never texts."""
    summary = {
        "decision_id": decision.decision_id,
        "action": decision.action,
        "hazards": list(decision.hazards),
        "attacks": list(decision.attacks),
        "alpha": decision.alpha,
        "reverse_prompts": [prompt_id for prompt_id, _ in decision.branches],
        "policy_digest": decision.policy_digest,
    }
    return {**summary, **_debug_metadata(decision, last)} if debug else summary


def _debug_metadata(decision: Decision, last: Delta | None) -> dict[str, Any]:
    assessment, contrast = decision.assessment, last.contrast if last else None
    return {
        "scores": {"harmful": assessment.harmful, **assessment.scores} if assessment else None,
        "reason": decision.reason,
        "contrast": {"contrasted_tokens": contrast.contrasted_tokens, "changed_tokens": contrast.changed_tokens}
        if contrast
        else None,
        "timing": {"seconds": last.seconds} if last else None,
    }


def _own_fields(cls: type[BaseModel]) -> set[str]:
    """Names that the class takes; ``dtype`` is the Hugging Face argument of that name."""
    return (set(cls.model_fields) | {"max_new_tokens"}) - {"dtype"}
