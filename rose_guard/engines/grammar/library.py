"""The one place that imports llguidance, and the limits under which it works."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rose_guard.errors import ModelLoadError, SettingsError

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLParserLimits, LLTokenizer

HEADER = "%llguidance {}\n"
_LIMITS = {
    "max_lexer_states": 50_000,  # at most 2 kB each
    "max_grammar_size": 100_000,
    "initial_lexer_fuel": 1_000_000,  # 20 ms of work
    "step_lexer_fuel": 200_000,  # 15 ms of work for one token
    "step_max_items": 50_000,
    "max_items_in_row": 2_000,
    "verbose_errors": False,  # they would quote the answer
}
_LONGEST_REASON = 200
_LISTING, _PLACE = "\n   1 |", "failed to compile JSON schema: "
_UNCLEAR = "oneOf constraints are not supported"


def llguidance() -> Any:
    """The package.

    Raises:
        ModelLoadError: if it is not installed.
    """
    try:
        return importlib.import_module("llguidance")
    except ImportError as error:
        raise ModelLoadError(
            "answers that follow a JSON schema or call tools need llguidance; run `pip install 'rose-guard[grammar]'`"
        ) from error


def check(grammar: str) -> None:
    """Whether a grammar can be followed, as far as that is to be known without a tokenizer.

    Raises:
        ModelLoadError: if llguidance is not installed.
        SettingsError: if it cannot.
    """
    matcher = llguidance().LLMatcher
    failed, messages = matcher.validate_grammar_with_warnings(matcher.grammar_from_lark(grammar), limits=_limits())
    if failed:
        raise SettingsError(_complaint(messages[0]))


def matcher_of(grammar: str, tokenizer: LLTokenizer) -> LLMatcher:
    """What follows one answer along a grammar.

    Raises:
        SettingsError: if the grammar cannot be followed in this tokenizer's tokens.
    """
    library = llguidance().LLMatcher
    matcher: LLMatcher = library(tokenizer, library.grammar_from_lark(grammar), log_level=0, limits=_limits())
    if matcher.is_error():
        raise SettingsError(_complaint(matcher.get_error()))
    return matcher


def _limits() -> LLParserLimits:
    limits: LLParserLimits = llguidance().LLParserLimits(**_LIMITS)
    return limits


def _complaint(message: str) -> str:
    """Without the grammar itself, which llguidance lists behind what it says."""
    reason = " ".join(message.partition(_LISTING)[0].rpartition(_PLACE)[2].split())
    if reason.startswith(_UNCLEAR):
        reason = "the options of a 'oneOf' have neither different types nor a required property that tells them apart"
    shortened = reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"
    return f"no grammar can be made of this schema: {shortened}; mend or simplify the schema"
