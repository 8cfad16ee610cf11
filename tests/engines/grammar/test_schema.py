"""Laws of what a schema may ask for, and of which objects are closed."""

import json

import pytest

from rose_guard import SettingsError
from rose_guard.engines.grammar import JsonGrammar
from rose_guard.engines.grammar.schema import SchemaDocument
from tests.engines.grammar.walks import may_end, spells
from tests.tiny import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
A, B = {"properties": {"a": {"type": "integer"}}}, {"properties": {"b": {"type": "integer"}}}
NESTED = {"type": "array"}
for _ in range(40):
    NESTED = {"type": "array", "items": NESTED}


def admits(schema, value):
    mask = JsonGrammar(schema).token_mask(TOKENIZER, len(TOKENIZER))
    text = json.dumps(value, ensure_ascii=False)
    return spells(mask, TOKENIZER, text) and may_end(mask, TOKENIZER, text)


@pytest.mark.parametrize(
    "keyword",
    [
        *("not", "if", "then", "else", "contains", "minContains", "propertyNames", "dependentRequired", "nullable"),
        *("dependentSchemas", "unevaluatedProperties", "unevaluatedItems", "additionalItems", "$dynamicRef", "typo"),
    ],
)
@pytest.mark.parametrize(
    "inside", [lambda s: s, lambda s: {"items": s}, lambda s: {"anyOf": [{"properties": {"a": s}}]}]
)
def test_a_keyword_that_would_not_be_enforced_is_refused_by_name_wherever_it_stands(keyword, inside):
    with pytest.raises(SettingsError, match=f"'{keyword.replace('$', '.')}'"):
        JsonGrammar(inside({keyword: {}}))


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({"uniqueItems": True}, "uniqueItems"),
        ({"minProperties": 2}, "minProperties"),
        ({"exclusiveMinimum": True}, "exclusiveMinimum"),
        ({"minimum": 2**53 + 1}, "minimum"),
        ({"maximum": float("inf")}, "maximum"),
        ({"multipleOf": 0}, "multipleOf"),
        ({"minLength": -1}, "minLength"),
        ({"type": "text"}, "type"),
        ({"type": []}, "type"),
        ({"enum": []}, "enum"),
        ({"required": "a"}, "required"),
        ({"properties": ["a"]}, "properties"),
        ({"properties": {1: {}}}, "properties"),
        ({"anyOf": {}}, "anyOf"),
        ({"items": [{"type": "string"}]}, "prefixItems"),
        ({"additionalProperties": "no"}, "must be an object"),
        ({"const": float("nan")}, "not JSON"),
        ({"const": {1, 2}}, "not JSON"),
        ({"const": "\ud800"}, "no grammar"),
        ({"pattern": "(?=a)b"}, "look-around"),
        ({"pattern": "("}, "no grammar"),
        ({"type": "integer", "minimum": 5, "maximum": 3}, "minimum"),
        ({"type": "object", "properties": {}, "required": ["a"]}, "'a'"),
        ({"oneOf": [A, B]}, "oneOf"),
        ({"$ref": "https://example.org/schema"}, "must begin with"),
        ({"$ref": "other.json#/a"}, "must begin with"),
        ({"$ref": "#name"}, "must begin with"),
        ({"$ref": "#/$defs/missing"}, "missing"),
        ({"items": {"$id": "other", "$ref": "#"}}, "id"),
        (NESTED, "nested"),
        ({"properties": {f"p{i}": {} for i in range(6000)}}, "smaller"),
        ({"enum": ["x" * 100] * 6000}, "smaller"),
        ({"type": "string", "pattern": "^(.*a.{20}b){50}$", "minLength": 1000, "maxLength": 2000}, "simplify"),
    ],
)
def test_a_schema_that_cannot_be_followed_is_refused_with_a_reason(schema, complaint):
    with pytest.raises(SettingsError, match=complaint) as caught:
        JsonGrammar(schema)
    assert len(str(caught.value)) < 400


def test_a_schema_that_shares_its_parts_again_and_again_is_refused_at_once():
    schema = {"type": "integer"}
    for _ in range(15):
        schema = {"anyOf": [{"items": schema}, {"additionalProperties": schema}]}
    with pytest.raises(SettingsError, match="smaller"):
        JsonGrammar(schema)


@pytest.mark.parametrize(
    "annotation",
    [
        {"title": "T", "description": "D", "default": 1, "examples": [1], "deprecated": True, "$comment": "c"},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.org/a"},
        {"format": "int32"},
        {"uniqueItems": False},
        {"x-guidance": {"whitespace_flexible": True}, "x-other": 1},
    ],
)
def test_annotations_change_nothing(annotation):
    document, plain = SchemaDocument(), SchemaDocument()
    schema = {"type": "integer"}
    assert document.text(document.read({**annotation, **schema})) == plain.text(plain.read(schema))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (A, {"a": 1}),
        ({"items": A}, [{"a": 1}]),
        ({"properties": {"x": A}}, {"x": {"a": 1}}),
        ({"additionalProperties": A}, {"x": {"a": 1}}),
        ({"anyOf": [A]}, {"a": 1}),
        ({"type": "object", "anyOf": [A]}, {"a": 1}),
        ({"allOf": [A], "title": "T"}, {"a": 1}),
        ({"$ref": "#/$defs/A", "$defs": {"A": A}}, {"a": 1}),
    ],
)
def test_an_object_that_declares_properties_is_closed_at_every_level(schema, value):
    def extended(value):
        """With one property more in the innermost object."""
        if isinstance(value, list):
            return [extended(value[0])]
        return {"x": extended(value["x"])} if "x" in value else {**value, "more": 1}

    assert admits(schema, value)
    assert not admits(schema, extended(value))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object"}, {"x": 1}),
        ({**A, "additionalProperties": True}, {"a": 1, "x": 1}),
        ({**A, "additionalProperties": {"type": "null"}}, {"a": 1, "x": None}),
        ({"allOf": [A, B]}, {"a": 1, "b": 2}),
        ({**A, "anyOf": [B, {"required": ["c"]}]}, {"a": 1, "c": 2}),
        ({**A, "$ref": "#/$defs/B", "$defs": {"B": B}}, {"b": 2, "a": 1}),
        (
            {"allOf": [{"properties": {"x": A}}, {"properties": {"x": {"$ref": "#/$defs/B"}}}], "$defs": {"B": B}},
            {"x": {"a": 1, "b": 2}},
        ),
    ],
)
def test_what_must_let_other_properties_pass_is_open(schema, value):
    assert admits(schema, value)


def test_one_definition_can_be_closed_here_and_open_there():
    schema = {
        "properties": {"alone": {"$ref": "#/$defs/A"}, "joint": {"allOf": [{"$ref": "#/$defs/A"}, B]}},
        "$defs": {"A": A},
    }
    assert admits(schema, {"alone": {"a": 1}, "joint": {"a": 1, "b": 2}})
    assert not admits(schema, {"alone": {"a": 1, "b": 2}})


def test_references_are_followed_wherever_they_point_in_the_schema():
    schema = {
        "properties": {"a/b": {"const": 1}, "c": {"$ref": "#/properties/a~1b"}, "d": {"$ref": "#/$defs/x/anyOf/1"}},
        "$defs": {"x": {"anyOf": [{"const": 2}, {"const": 3}]}},
    }
    assert admits(schema, {"a/b": 1, "c": 1, "d": 3})
    assert not admits(schema, {"c": 2})
    assert not admits(schema, {"d": 2})
    tree = {"properties": {"value": {"type": "integer"}, "next": {"$ref": "#"}}, "required": ["value"]}
    assert admits(tree, {"value": 1, "next": {"value": 2, "next": {"value": 3}}})
    assert not admits(tree, {"value": 1, "next": {}})


def test_one_of_is_either_where_a_required_constant_tells_them_apart():
    def tagged(tag, required=("kind",)):
        return {"properties": {"kind": {"const": tag}}, "required": list(required)}

    schema = {"oneOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/y"}], "$defs": {"x": tagged("x"), "y": tagged("y")}}
    assert admits(schema, {"kind": "x"})
    assert admits(schema, {"kind": "y"})
    assert not admits(schema, {"kind": "z"})
    for unclear in (tagged("x"), tagged("y", required=()), {"$ref": "#/$defs/y"}, True):
        with pytest.raises(SettingsError, match="oneOf"):
            JsonGrammar({**schema, "$defs": {"x": tagged("x"), "y": unclear}})
