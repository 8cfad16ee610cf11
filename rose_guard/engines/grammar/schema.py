"""SchemaDocument: JSON Schemas as llguidance is to read them.

Annotations, which say nothing of what is valid, are left out; a keyword that would not be enforced is refused. An
object whose properties are declared is closed unless its schema says otherwise. Where several schemas hold of one
value (``allOf``, or keywords beside a reference or ``anyOf``), each must let the others' properties pass, so nothing
within them is closed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from typing import Any
from urllib.parse import unquote

from rose_guard.engines.grammar.keywords import (
    APPLICATORS,
    FORMATS,
    LISTS_OF_SCHEMAS,
    MAPS_OF_SCHEMAS,
    SCHEMAS,
    check_value,
    is_annotation,
    named,
)
from rose_guard.errors import SettingsError

_DEEPEST = 32
_MOST_PARTS = 5_000
_LONGEST = 500_000
_STYLE = {
    "item_separator": ", ",
    "key_separator": ": ",
    "whitespace_flexible": False,
    "json_allowed_escapes": 'nrbtf\\"',  # without \u: neither half characters nor control characters
}


class SchemaDocument:
    """Gathers schemas, each with references of its own, into one."""

    def __init__(self) -> None:
        self._definitions: dict[str, Any] = {}
        self._names = count()
        self._parts = 0

    def read(self, schema: Any) -> Any:
        """A schema that may stand in what :meth:`text` is given.

        Raises:
            SettingsError: if it is no schema, is too big, or asks for what cannot be enforced.
        """
        return _Reader(self, schema).read()

    def text(self, schema: Mapping[str, Any]) -> str:
        """The document as JSON.

        Args:
            schema: what holds of the whole, made of what was read.

        Raises:
            SettingsError: if it holds what is not JSON, or is too long.
        """
        try:
            text = json.dumps({"x-guidance": _STYLE, "$defs": self._definitions, **schema}, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise SettingsError("the schema holds a value that is not JSON; use what JSON can write") from None
        if len(text) > _LONGEST:
            raise SettingsError(f"the schema is longer than {_LONGEST} characters; make it smaller")
        return text

    def new_name(self) -> str:
        """For a definition."""
        return str(next(self._names))

    def define(self, name: str, schema: Any) -> None:
        """Keep what ``#/$defs/name`` refers to."""
        self._definitions[name] = schema

    def count_part(self) -> None:
        """One more schema within the schemas.

        Raises:
            SettingsError: if there are too many.
        """
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise SettingsError(f"the schema is made of more than {_MOST_PARTS} schemas; make it smaller")


class _Reader:
    """Reads one schema with what it refers to."""

    def __init__(self, document: SchemaDocument, root: Any) -> None:
        self._document, self._root = document, root
        self._names: dict[tuple[str, bool], str] = {}
        self._unread: list[tuple[str, str, bool]] = []

    def read(self) -> Any:
        schema = self._schema(self._root, 0, closes=True)
        while self._unread:
            name, reference, closes = self._unread.pop()
            self._document.define(name, self._schema(self._target(reference), 0, closes=closes))
        return schema

    def _schema(self, schema: Any, depth: int, *, closes: bool) -> Any:
        self._document.count_part()
        if depth > _DEEPEST:
            raise SettingsError(f"the schema is nested more than {_DEEPEST} deep; use $defs, or make it flatter")
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            raise SettingsError("a JSON Schema must be an object, true or false; for a list of items use prefixItems")
        if "$id" in schema and schema is not self._root:
            raise SettingsError("a grammar cannot follow JSON Schema's '$id' within a schema; refer to '#/$defs/…'")
        asserted = {keyword: value for keyword, value in schema.items() if not is_annotation(keyword)}
        closes = closes and not _is_joint(asserted)
        read: dict[str, Any] = {}
        for keyword, value in asserted.items():
            read.update(self._keyword(keyword, value, depth + 1, closes=closes))
        if closes and "properties" in read:
            read.setdefault("additionalProperties", False)
        return read

    def _keyword(self, keyword: Any, value: Any, depth: int, *, closes: bool) -> dict[str, Any]:
        if keyword == "$ref":
            return {"$ref": self._reference(value, closes=closes)}
        if keyword in MAPS_OF_SCHEMAS:
            named_schemas = _map(value, keyword).items()
            return {keyword: {name: self._schema(each, depth, closes=closes) for name, each in named_schemas}}
        if keyword in LISTS_OF_SCHEMAS:
            schemas = _list(value, keyword)
            kept = "anyOf" if keyword == "oneOf" and self._are_exclusive(schemas) else keyword
            return {kept: [self._schema(each, depth, closes=closes) for each in schemas]}
        if keyword in SCHEMAS:
            return {keyword: self._schema(value, depth, closes=closes)}
        check_value(keyword, value)
        is_annotation_here = keyword == "uniqueItems" or (keyword == "format" and value not in FORMATS)
        return {} if is_annotation_here else {keyword: value}

    def _reference(self, reference: Any, *, closes: bool) -> str:
        """To a definition of the document's; the schema may be needed both closed and open."""
        self._target(reference)
        if (reference, closes) not in self._names:
            name = self._names[reference, closes] = self._document.new_name()
            self._unread.append((name, reference, closes))
        return f"#/$defs/{self._names[reference, closes]}"

    def _target(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise SettingsError("JSON Schema's '$ref' must begin with '#/' here; put what it refers to into $defs")
        target = self._root
        for step in unquote(reference).split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, Mapping) and key in target:
                target = target[key]
            elif isinstance(target, list) and key.isdecimal() and int(key) < len(target):
                target = target[int(key)]
            else:
                raise SettingsError(f"JSON Schema's '$ref' {named(reference)} refers to nothing in the schema")
        return target

    def _are_exclusive(self, schemas: list[Any]) -> bool:
        """Whether all of them require a property of one name, each with constants of its own.

        llguidance sees as much by itself, but not behind references.
        """
        tags = [_constants(self._resolved(schema)) for schema in schemas]
        shared = set(tags[0]).intersection(*tags[1:]) if tags else set()
        return any(_are_disjoint([tag[name] for tag in tags]) for name in shared)

    def _resolved(self, schema: Any) -> Any:
        for _ in range(_DEEPEST):
            if not (isinstance(schema, Mapping) and "$ref" in schema):
                break
            schema = self._target(schema["$ref"])
        return schema


def _is_joint(asserted: Mapping[Any, Any]) -> bool:
    """Whether several schemas hold of one value; a type counts as none, since it declares no properties."""
    several = isinstance(parts := asserted.get("allOf"), list) and len(parts) > 1
    return several or (not APPLICATORS.isdisjoint(asserted) and len(asserted.keys() - {"type"}) > 1)


def _map(value: Any, keyword: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise SettingsError(f"JSON Schema's {keyword!r} must be an object of schemas")
    return value


def _list(value: Any, keyword: str) -> list[Any]:
    if not isinstance(value, list):
        raise SettingsError(f"JSON Schema's {keyword!r} must be a list of schemas")
    return value


def _constants(schema: Any) -> dict[str, list[str]]:
    """The texts that each required property with an ``enum`` or ``const`` of texts alone may be."""
    if not isinstance(schema, Mapping):
        return {}
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return {}
    constants: dict[str, list[str]] = {}
    for name, each in properties.items():
        values = [each["const"]] if isinstance(each, Mapping) and "const" in each else []
        if isinstance(each, Mapping) and not values and isinstance(each.get("enum"), list):
            values = each["enum"]
        if name in required and values and all(isinstance(value, str) for value in values):
            constants[name] = values
    return constants


def _are_disjoint(groups: list[list[str]]) -> bool:
    values = [value for group in groups for value in set(group)]
    return len(set(values)) == len(values)
