"""The in-process engine: transformers models, decoded branch by branch on the process's worker thread."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Any

from rose_guard.decoding.loop import decode
from rose_guard.engines import embedded
from rose_guard.engines.engine import Contrast, Delta, GenerationRequest, Usage
from rose_guard.engines.prompt import ChatPrompt
from rose_guard.engines.text import Detokenizer, StopStrings
from rose_guard.engines.worker import worker
from rose_guard.errors import InputError, ModelLoadError
from rose_guard.message import check_conversation

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_SHARED_WITH_TOKENIZER = (
    "revision",
    "token",
    "cache_dir",
    "subfolder",
    "local_files_only",
    "trust_remote_code",
    "gguf_file",
)


class TransformersEngine:
    """Runs a causal language model of transformers with a chat template.

    Args:
        model: the loaded model; it is put into evaluation mode, and otherwise left as it is.
        tokenizer: its tokenizer.
        model_id: a name for metadata; the model's own unless given.

    Raises:
        ModelLoadError: if the tokenizer has no chat template or cannot be made safe.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, model_id: str | None = None
    ) -> None:
        self.hf_model = model
        model.train(mode=False)
        self.hf_tokenizer = tokenizer
        self._prompt = ChatPrompt(tokenizer)
        self._model_id = model_id or model.config.name_or_path or f"{type(model).__name__}-{id(model):x}"

    @classmethod
    def embedded(cls, *, dtype: str = "float32") -> TransformersEngine:
        """The embedded SmolLM2-135M-Instruct; a process holds one copy per dtype.

        Raises:
            ModelLoadError: if its wheel is not installed; the message names the command that installs it.
        """
        return worker.run(_embedded, dtype)

    @classmethod
    def from_pretrained(cls, id_or_path: str | Path, **hf_kwargs: Any) -> TransformersEngine:
        """Any causal language model with a chat template, by hub id or folder.

        Args:
            id_or_path: what ``AutoModelForCausalLM.from_pretrained`` takes.
            hf_kwargs: passed on to it (``dtype``, ``device_map``, ``revision`` …). Weights must be safetensors
                unless ``use_safetensors=False`` asks for pickled ones by name.

        Raises:
            ModelLoadError: if it cannot be found or loaded, or has no usable chat template.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        shared = {name: hf_kwargs[name] for name in _SHARED_WITH_TOKENIZER if name in hf_kwargs}
        options: dict[str, Any] = {"use_safetensors": True} if "gguf_file" not in hf_kwargs else {}
        try:
            tokenizer = AutoTokenizer.from_pretrained(id_or_path, **shared)
            model = AutoModelForCausalLM.from_pretrained(id_or_path, **{**options, **hf_kwargs})
        except (OSError, ValueError, ImportError) as error:
            reason = str(error).strip().split("\n", maxsplit=1)[0]
            raise ModelLoadError(
                f"cannot load {str(id_or_path)!r}: {reason}; give a folder or a reachable hub id of a causal language "
                f"model with safetensors, or use ChatRose() for the embedded model"
            ) from error
        return cls(model, tokenizer, model_id=str(id_or_path))

    @property
    def model_id(self) -> str:
        """The model's name, revision where known, and dtype."""
        revision = getattr(self.hf_model.config, "_commit_hash", None)
        at = f"@{revision}" if revision else ""
        return f"{self._model_id}{at}:{str(self.hf_model.dtype).removeprefix('torch.')}"

    def stream(self, request: GenerationRequest) -> Generator[Delta]:
        """As the protocol says."""
        return worker.iterate(lambda: self._deltas(request))

    def astream(self, request: GenerationRequest) -> AsyncGenerator[Delta]:
        """As the protocol says."""
        return worker.aiterate(lambda: self._deltas(request))

    def token_ids(self, text: str) -> list[int]:
        """As the protocol says."""
        return worker.run(self._prompt.token_ids, text)

    def _deltas(self, request: GenerationRequest) -> Generator[Delta]:
        started = time.perf_counter()
        check_conversation(request.messages)
        positive_ids = self._prompt.encode(request.messages, lead=request.safe_prompt)
        reverse_ids = [self._prompt.encode(request.messages, lead=p.text) for p in request.reverse_prompts]
        if positive_ids in reverse_ids:
            raise InputError(
                "the safe and the reverse prompt read the same here, so there is nothing to contrast; check that the "
                "chat template shows the system message of a conversation like this one, and the policy's prompts"
            )
        steps = decode(
            self.hf_model,
            positive_ids,
            reverse_ids,
            settings=request.settings,
            weights=[prompt.weight for prompt in request.reverse_prompts],
            max_new_tokens=request.max_new_tokens,
        )
        detokenizer, stops = Detokenizer(self.hf_tokenizer), StopStrings(request.stop)
        generated = contrasted = changed = 0
        for step in steps:
            generated += 1
            contrasted += step.contrasted
            changed += step.changed
            text = stops.push(detokenizer.push(step.token_id) if step.finish != "stop" else "")
            if step.finish or stops.found:
                break
            if text:
                yield Delta(text)
        text += stops.push(detokenizer.flush()) + stops.flush()
        yield Delta(
            text,
            finish_reason="length" if step.finish == "length" and not stops.found else "stop",
            usage=Usage(len(positive_ids), generated),
            contrast=Contrast(contrasted, changed),
            seconds=time.perf_counter() - started,
        )


@cache
def _embedded(dtype: str) -> TransformersEngine:
    model, tokenizer = embedded.load(dtype)
    return TransformersEngine(model, tokenizer, model_id=embedded.MODEL_ID)
