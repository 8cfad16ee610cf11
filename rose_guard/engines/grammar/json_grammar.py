"""JsonGrammar: the whole answer is JSON."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rose_guard.engines.grammar.library import HEADER, check
from rose_guard.engines.grammar.schema import SchemaDocument

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rose_guard.engines.grammar.mask import GrammarMask


@dataclass(frozen=True, slots=True)
class JsonGrammar:
    """The whole answer is JSON that follows a schema, on one line, with a space behind each comma and colon.

    Properties come in the schema's order. An object that declares properties has no others unless its schema says so.
    A ``format`` that is not known is not enforced; any other keyword that cannot be is refused.

    Args:
        schema: JSON Schema (2020-12) with references to itself only; None for any JSON object.

    Raises:
        SettingsError: if the schema asks for what a grammar cannot enforce, or is too big.
        ModelLoadError: if llguidance is not installed.
    """

    schema: Mapping[str, Any] | None = None
    _grammar: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        grammar = f"{HEADER}start: {json_symbol({'type': 'object'} if self.schema is None else self.schema)}\n"
        check(grammar)
        object.__setattr__(self, "_grammar", grammar)

    @property
    def identity(self) -> str:
        """By which kept answers tell this grammar from others."""
        return hashlib.sha256(self._grammar.encode()).hexdigest()

    def token_mask(self, tokenizer: Any, vocabulary: int, ends: Collection[int] = ()) -> GrammarMask:
        """As :class:`~rose_guard.engines.engine.Constraint` says.

        Args:
            tokenizer: of transformers, backed by the tokenizers library.
            vocabulary: how many token ids the model has.
            ends: ids that end an answer beside the tokenizer's own, as a generation_config lists them.

        Raises:
            ModelLoadError: if no grammar can be followed in this tokenizer's tokens.
        """
        from rose_guard.engines.grammar.mask import GrammarMask
        from rose_guard.engines.grammar.vocabulary import Vocabulary

        return GrammarMask(self._grammar, Vocabulary.of(tokenizer, vocabulary, ends))


def json_symbol(schema: Mapping[str, Any]) -> str:
    """JSON of a schema, as a symbol of a grammar.

    Raises:
        SettingsError: if the schema asks for what a grammar cannot enforce, or is too big.
    """
    document = SchemaDocument()
    return f"%json {document.text(document.read(schema))}"
