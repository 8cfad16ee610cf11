"""Loading another model and its tokenizer to score with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rose_guard.errors import ModelLoadError

if TYPE_CHECKING:
    from pathlib import Path

_SHARED_WITH_TOKENIZER = ("revision", "token", "cache_dir", "subfolder", "local_files_only", "trust_remote_code")


def load_pretrained(auto_class: Any, id_or_path: str | Path, kind: str, **hf_kwargs: Any) -> tuple[Any, Any]:
    """A model and its tokenizer, by hub id or folder.

    Args:
        auto_class: one of transformers' ``AutoModelFor…``.
        id_or_path: what its ``from_pretrained`` takes.
        kind: what it must be, for the message.
        hf_kwargs: passed on. Weights must be safetensors unless ``use_safetensors=False`` asks for pickled ones by
            name, and no code of a repository runs unless ``trust_remote_code=True`` allows it.

    Raises:
        ModelLoadError: if it cannot be found or loaded.
    """
    from transformers import AutoTokenizer

    options = {"use_safetensors": True, "trust_remote_code": False, **hf_kwargs}
    shared = {name: options[name] for name in _SHARED_WITH_TOKENIZER if name in options}
    try:
        tokenizer = AutoTokenizer.from_pretrained(id_or_path, **shared)
        return auto_class.from_pretrained(id_or_path, **options), tokenizer
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = str(error).strip().split("\n", maxsplit=1)[0]
        raise ModelLoadError(
            f"cannot load {str(id_or_path)!r}: {reason}; give a folder or a reachable hub id of {kind} with "
            f"safetensors; for a gated one run `hf auth login` first"
        ) from error
