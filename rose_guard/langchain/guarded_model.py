"""GuardedModel: the fields that ChatRose and RoseLLM share, and the guard that they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from langchain_core.caches import BaseCache
from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    InstanceOf,
    PrivateAttr,
    SecretStr,
    model_validator,
)

from rose_guard.engines.embedded import CONTEXT_TOKENS as EMBEDDED_CONTEXT_TOKENS
from rose_guard.engines.embedded import MODEL_ID as EMBEDDED_MODEL_ID
from rose_guard.engines.engine import Engine
from rose_guard.engines.worker import worker
from rose_guard.errors import SettingsError
from rose_guard.guard import GenerationOptions, Guard
from rose_guard.langchain.cache import CacheBehindGuard, behind_guard
from rose_guard.langchain.call_settings import generation_options, identifying
from rose_guard.langchain.guard_fields import CONFIG, GuardFields
from rose_guard.langchain.loading import (
    answer_classifier_for,
    classifier_for,
    loaded_policy,
    policy_now,
)
from rose_guard.langchain.metadata import rose_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rose_guard.engines.engine import Tool
    from rose_guard.guard import Piece
    from rose_guard.message import Message


class GuardedModel(GuardFields):
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
    cache: BaseCache | bool | None = Field(default=False, exclude=True)
    """Where answers are kept; True for LangChain's global cache. Every conversation is judged, counted and recorded
    before an answer is looked up, under a key that knows tenant and decision."""
    temperature: float | None = None
    """0 is greedy; None follows the model's generation_config, as the sampling fields below do."""
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    logit_bias: dict[int, float] = Field(default_factory=dict)
    """Added to the scores of these token ids. No call may set it: a caller could push an answer with it."""
    beta: float | None = None
    """Plausibility threshold of the contrast, see RoseSettings."""
    normalised: bool | None = None
    """Whether contrasted scores are divided by 1 − alpha, see RoseSettings."""
    max_tokens: int = Field(default=256, validation_alias=AliasChoices("max_tokens", "max_new_tokens"))
    """Limit of an answer, in tokens."""
    stop: list[str] | None = None
    """An answer ends before the first of these strings."""
    n: int = 1
    """How many answers ``generate`` gives to each prompt; the i-th is drawn with ``seed + i``."""
    logprobs: bool = False
    """Whether log-probabilities of the answer's tokens are in ``response_metadata["logprobs"]``."""
    top_logprobs: int = 0
    """How many of the likeliest tokens are told beside each chosen one, at most 20."""
    timeout: float | None = Field(default=None, exclude=True, repr=False)
    """Accepted so that models can be swapped; a local model has no request to time out."""
    max_retries: int | None = Field(default=None, exclude=True, repr=False)
    """Accepted so that models can be swapped; what fails here would fail again."""
    api_key: SecretStr | None = Field(default=None, exclude=True, repr=False)
    """Accepted so that models can be swapped; never read."""

    _built: tuple[Guard, tuple[object, ...]] | None = PrivateAttr(default=None)
    """The guard, and what it was built from; one value, which threads see whole or not at all."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Refuse here what would otherwise fail, or be overlooked, at the first answer."""
        if self.engine is not None and self.model is not None:
            raise SettingsError("give either engine= or model= and tokenizer=, not both")
        if (self.model is None) != (self.tokenizer is None):
            raise SettingsError("model= and tokenizer= belong together; give both, or from_pretrained(id)")
        if isinstance(self.model, str | Path) or (self.model is not None and not hasattr(self.model, "generate")):
            raise SettingsError("model= takes a loaded transformers model; use from_pretrained(id_or_path) for a name")
        self.policy = loaded_policy(self.policy)
        self.cache = behind_guard(self.cache)
        self._options(None)
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, behind_guard(value) if name == "cache" else value)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; with another cache, one that stands behind the guard too."""
        copied = super().model_copy(update=update, deep=deep)
        copied.cache = behind_guard(copied.cache)
        return copied

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
        built = self._built
        if built is not None and self._unchanged(built[1]):
            return built[0]
        return worker.run(self._built_guard)

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

    def _count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
        """Tokens of a conversation as a prompt; of its texts alone where the engine cannot say."""
        engine: Any = self.guard.engine
        if hasattr(engine, "count_tokens"):
            return int(engine.count_tokens(messages, tools))
        return sum(len(engine.token_ids(message.text)) for message in messages)

    @property
    def _context_tokens(self) -> int | None:
        """How many tokens the model reads; None where it would have to be loaded to tell."""
        if self.engine is not None:
            return getattr(self.engine, "context_tokens", None)
        if self.model is None:
            return EMBEDDED_CONTEXT_TOKENS
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    def _built_guard(self) -> Guard:
        """The guard for the fields as they are now: a changed policy must never leave an old guard in place.

        Runs on the worker alone, so that it needs no lock and loads nothing twice.
        """
        if self._built is None or not self._unchanged(self._built[1]):
            parts = self._parts()
            policy = loaded_policy(self.policy)
            now = policy_now(policy)
            guard = Guard(
                self._engine(),
                classifier=classifier_for(now, self.classifier),
                policy=policy,
                answer_classifier=answer_classifier_for(now, self.answer_classifier),
                memory=self.memory,
                audit=self.audit,
                on_notify=self.on_notify,
                answers=self._answers(),
            )
            self._built = (guard, parts)
        return self._built[0]

    def _parts(self) -> tuple[object, ...]:
        return (
            *(self.policy, self.classifier, self.answer_classifier, self.memory, self.audit, self.on_notify),
            *(self.engine, self.model, self.tokenizer, self.dtype, self.cache),
        )

    def _unchanged(self, parts: tuple[object, ...]) -> bool:
        """Whether the fields are what they were then."""
        return all(now is then for now, then in zip(self._parts(), parts, strict=True))

    def _answers(self) -> CacheBehindGuard | None:
        if not isinstance(self.cache, CacheBehindGuard):
            return None
        self.cache.check()
        return self.cache

    def _engine(self) -> Engine:
        from rose_guard.engines.transformers import TransformersEngine

        if self.engine is not None:
            return self.engine
        if self.model is not None:
            return TransformersEngine(self.model, self.tokenizer)
        return TransformersEngine.embedded(dtype=self.dtype)

    def _options(self, stop: list[str] | None, **call: Any) -> GenerationOptions:
        """This model's settings with those of one call over them.

        Raises:
            SettingsError: if a call names a setting that there is not, or another model.
        """
        if (model := call.pop("model", None)) not in (None, self._model_name):
            raise SettingsError(f"model = {model!r}: this is {self._model_name!r}, and a call cannot load another")
        return generation_options(self, stop, call)

    def _options_of_one(self, stop: list[str] | None, **call: Any) -> GenerationOptions:
        """As :meth:`_options`, for a stream, which holds one answer.

        Raises:
            SettingsError: if more are asked for.
        """
        options = self._options(stop, **call)
        if options.n != 1:
            raise SettingsError(f"n = {options.n}: a stream gives one answer; use generate or batch for more")
        return options

    def _parameters(self) -> dict[str, Any]:
        """Everything that changes an answer, as tracing and LangChain's caches tell models apart. Loads nothing."""
        return {"model_name": self._model_name, **identifying(self, policy_now(loaded_policy(self.policy)))}

    @property
    def _model_name(self) -> str:
        """The engine's name for its model, also before the embedded one is loaded."""
        if self.engine is not None:
            return self.engine.model_id
        if self.model is None:
            return f"{EMBEDDED_MODEL_ID}:{self.dtype}"
        return self.guard.engine.model_id

    def _response_metadata(self, piece: Piece) -> dict[str, Any]:
        """Metadata of an answer, from its last piece."""
        return {
            "model_name": self._model_name,
            "model_provider": "rose_guard",
            "finish_reason": piece.delta.finish_reason,
            "rose": rose_metadata(piece.decision, piece, debug=self.expose == "debug"),
        }


def _own_fields(cls: type[BaseModel]) -> set[str]:
    """Names that the class takes; ``dtype`` is the Hugging Face argument of that name."""
    return (set(cls.model_fields) | {"max_new_tokens"}) - {"dtype"}
