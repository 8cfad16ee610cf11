"""Vocabulary: a tokenizer as llguidance sees it, kept as long as the tokenizer lives."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from rose_guard.engines.grammar.library import llguidance
from rose_guard.errors import ModelLoadError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from llguidance import LLTokenizer


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A tokenizer's tokens.

    Every added token counts as a control token, special or not, since chat templates are made of both; a grammar
    admits one only by name. Those that are white space are text.

    Args:
        tokens: for llguidance.
        size: how many ids the model has; a mask's length.
        control: ids of the control tokens by what they look like.
        ends: ids that end an answer.
    """

    tokens: LLTokenizer
    size: int
    control: Mapping[str, int]
    ends: frozenset[int]

    @classmethod
    def of(cls, tokenizer: Any, size: int, ends: Collection[int] = ()) -> Vocabulary:
        """For a tokenizer of transformers; about a second's work for each tokenizer, once.

        Args:
            tokenizer: backed by the tokenizers library.
            size: how many ids the model has, perhaps more or fewer than the tokenizer.
            ends: ids that end an answer beside the tokenizer's own, as a generation_config lists them.

        Raises:
            ModelLoadError: if its tokens cannot be told as bytes, none of them ends an answer, or llguidance is not
                installed.
        """
        kept = _KEPT.setdefault(tokenizer, {})
        key = (size, len(tokenizer), tokenizer.eos_token_id, frozenset(ends))
        if key not in kept:
            kept[key] = _read(tokenizer, size, ends)
        return kept[key]


_KEPT: WeakKeyDictionary[Any, dict[tuple[object, ...], Vocabulary]] = WeakKeyDictionary()


def _read(tokenizer: Any, size: int, ends: Collection[int]) -> Vocabulary:
    own = () if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,)
    ends = frozenset(token_id for token_id in (*own, *ends) if 0 <= token_id < size)
    if not ends:
        raise ModelLoadError(
            "the tokenizer names no end-of-sequence token that the model has, so no grammar could end an answer; "
            "set its eos_token"
        )
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelLoadError("grammars need a tokenizer backed by the tokenizers library; load a fast tokenizer")
    described = json.loads(backend.to_str())
    control = {t["content"]: t["id"] for t in described["added_tokens"] if not t["content"].isspace()}
    for token in described["added_tokens"]:
        token["special"] = token["content"] in control
    described.update(padding=None, truncation=None)
    if plain := ends - set(control.values()):
        raise ModelLoadError(f"the tokens {sorted(plain)} end an answer but are plain text; end it with control tokens")
    wanted = max(size, len(tokenizer), *(token_id + 1 for token_id in control.values()))
    return Vocabulary(_tokens(described, wanted, ends), size, control, ends)


def _tokens(described: Mapping[str, Any], size: int, ends: frozenset[int]) -> LLTokenizer:
    library = llguidance()
    try:
        tokens: LLTokenizer = library.LLTokenizer(json.dumps(described), n_vocab=size, eos_token=sorted(ends))
    except ValueError as error:
        raise ModelLoadError(
            "grammars need a tokenizer of bytes (byte-level BPE, or pieces with byte fallback), which this one is not; "
            "ask without tools or schema, or use another model"
        ) from error
    return tokens
