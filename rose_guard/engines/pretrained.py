"""Models of transformers by hub id or folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rose_guard.errors import ModelLoadError

if TYPE_CHECKING:
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


def load(id_or_path: str | Path, **hf_kwargs: Any) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model and its tokenizer.

    Args:
        id_or_path: what ``AutoModelForCausalLM.from_pretrained`` takes.
        hf_kwargs: passed on to it. Weights must be safetensors unless ``use_safetensors=False`` asks for pickled ones
            by name.

    Raises:
        ModelLoadError: if it cannot be found or loaded.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    shared = {name: hf_kwargs[name] for name in _SHARED_WITH_TOKENIZER if name in hf_kwargs}
    options: dict[str, Any] = {"use_safetensors": True} if "gguf_file" not in hf_kwargs else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(id_or_path, **shared)
        return AutoModelForCausalLM.from_pretrained(id_or_path, **{**options, **hf_kwargs}), tokenizer
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).strip().split("\n", maxsplit=1)[0]
        raise ModelLoadError(
            f"cannot load {str(id_or_path)!r}: {reason}; give a folder or a reachable hub id of a causal language "
            f"model with safetensors, or use ChatRose() for the embedded model"
        ) from error
