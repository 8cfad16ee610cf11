"""What each keyword of JSON Schema (2020-12) means to a grammar, and which values it may have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rose_guard.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

MAPS_OF_SCHEMAS = frozenset({"properties", "patternProperties"})
LISTS_OF_SCHEMAS = frozenset({"prefixItems", "anyOf", "oneOf", "allOf"})
SCHEMAS = frozenset({"items", "additionalProperties"})
APPLICATORS = frozenset({"$ref", "anyOf", "oneOf", "allOf"})
"""What makes several schemas hold of one value."""

FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"},
)
"""Those that are enforced; all others, which JSON Schema lets a reader ignore, are annotations."""

_ANNOTATIONS = frozenset(
    {"$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "example", "examples"}
    | {"deprecated", "readOnly", "writeOnly", "contentMediaType", "contentEncoding", "discriminator"}
)
_TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
_EXACT = 2**53
_LONGEST_NAME = 40


def is_annotation(keyword: Any) -> bool:
    """Whether a keyword says nothing of what is valid, as those do that begin with ``x-``."""
    return keyword in _ANNOTATIONS or (isinstance(keyword, str) and keyword.startswith("x-"))


def check_value(keyword: Any, value: Any) -> None:
    """Whether a keyword that holds no schemas is one that can be enforced, with this value.

    Raises:
        SettingsError: if not.
    """
    if keyword not in _VALUES:
        raise SettingsError(
            f"a grammar cannot enforce JSON Schema's {named(keyword)}; leave it out, and check the answer for it"
        )
    is_valid, expected = _VALUES[keyword]
    if not is_valid(value):
        raise SettingsError(f"JSON Schema's {keyword!r} must be {expected} here")


def named(name: Any) -> str:
    """A name of somebody's choosing, short enough for a message."""
    text = repr(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_bound(value: Any) -> bool:
    return _is_number(value) and abs(value) <= _EXACT


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _EXACT


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in _TYPES for name in names)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_BOUND = (_is_bound, "a number between -2^53 and 2^53")
_COUNT = (_is_count, "a whole number from 0 to 2^53")
_TEXT = (lambda value: isinstance(value, str), "text")
_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "const": (lambda _: True, "any value"),
    "enum": (lambda value: isinstance(value, list) and bool(value), "a list of at least one value"),
    "type": (_is_type, f"one or more of {', '.join(sorted(_TYPES))}"),
    "required": (_are_names, "a list of names"),
    "pattern": _TEXT,
    "format": _TEXT,
    "minLength": _COUNT,
    "maxLength": _COUNT,
    "minItems": _COUNT,
    "maxItems": _COUNT,
    "maxProperties": _COUNT,
    # Keys that are not declared may come twice, and would be counted twice.
    "minProperties": (lambda value: _is_count(value) and value <= 1, "0 or 1"),
    "minimum": _BOUND,
    "maximum": _BOUND,
    "exclusiveMinimum": _BOUND,
    "exclusiveMaximum": _BOUND,
    "multipleOf": (lambda value: _is_bound(value) and value > 0, "a number above 0"),
    "uniqueItems": (lambda value: value is False, "false, or left out"),
}
