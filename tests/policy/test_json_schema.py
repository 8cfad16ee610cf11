"""Laws of the JSON Schema for editors: it takes what is a policy and refuses what plainly is none."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from rose_guard import Policy, PolicyError
from rose_guard.policy.json_schema import policy_schema
from rose_guard.policy.yaml_document import YamlDocument
from rose_guard.taxonomy import ATTACKS, HAZARDS

ROOT = Path(__file__).parents[2]
SCHEMA = policy_schema()
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}


def yaml(text):
    return YamlDocument(text, "p.yaml").root


def number(node):
    return isinstance(node, int | float) and not isinstance(node, bool)


def is_type(node, name):
    if name in TYPES:
        return isinstance(node, TYPES[name])
    return number(node) and (name == "number" or float(node).is_integer())


# As much of JSON Schema as the schema uses; any other keyword is a fault of the schema, or of this test.
HOLDS = {
    "type": is_type,
    "enum": lambda node, values: node in values,
    "const": lambda node, value: node == value and type(node) is type(value),
    "required": lambda node, keys: isinstance(node, dict) and all(key in node for key in keys),
    "minimum": lambda node, least: not number(node) or node >= least,
    "maximum": lambda node, most: not number(node) or node <= most,
    "exclusiveMinimum": lambda node, floor: not number(node) or node > floor,
    "exclusiveMaximum": lambda node, ceiling: not number(node) or node < ceiling,
    "minItems": lambda node, least: not isinstance(node, list) or len(node) >= least,
    "minLength": lambda node, least: not isinstance(node, str) or len(node) >= least,
    "propertyNames": lambda node, names: all(re.search(names["pattern"], key) for key in node),
}
NOTES = ("title", "description", "default", "$schema", "$defs")
APPLIED = ("$ref", "items", "properties", "additionalProperties")


def faults(node, schema=SCHEMA, path="$"):
    """What of a file breaks the schema."""
    found = [
        f"{path}: {keyword} is {value}"
        for keyword, value in schema.items()
        if keyword not in (*NOTES, *APPLIED) and not HOLDS[keyword](node, value)
    ]
    if "$ref" in schema:
        found += faults(node, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], path)
    for key, below in parts(node, schema):
        found += [f"{path}.{key} is not allowed"] if below is False else faults(node[key], below, f"{path}.{key}")
    return found


def parts(node, schema):
    """Keys or indices, and the schema below each."""
    if isinstance(node, list):
        return [(i, schema.get("items", {})) for i in range(len(node))]
    if not isinstance(node, dict):
        return []
    rest = schema.get("additionalProperties", {})
    return [(key, schema.get("properties", {}).get(key, rest)) for key in node]


def blocks():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    found = [block for page in pages for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), flags=re.DOTALL)]
    return [block for block in found if block.startswith("version:")]


def test_it_is_json_with_a_title_and_a_dialect():
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "rose_guard policy"
    assert SCHEMA["required"] == ["version"]


@pytest.mark.parametrize("holder", [SCHEMA, SCHEMA["$defs"]["TenantEntry"]], ids=["policy", "tenant"])
def test_hazards_and_attacks_are_listed_with_their_descriptions(holder):
    for group, labels in (("hazards", HAZARDS), ("attacks", ATTACKS)):
        listed = holder["properties"][group]
        assert {label: entry["description"] for label, entry in listed["properties"].items()} == labels
        assert listed["additionalProperties"] is False


def test_every_key_has_a_description_and_none_may_be_null():
    models = [SCHEMA, *SCHEMA["$defs"].values()]
    assert all(entry.get("description") for model in models for entry in model["properties"].values())
    assert '"null"' not in json.dumps(SCHEMA)


def test_the_shipped_policy_is_valid():
    assert faults(yaml(files("rose_guard.policy").joinpath("default.yaml").read_text())) == []


def test_every_policy_in_the_docs_is_valid():
    assert len(blocks()) >= 2
    assert [fault for block in blocks() for fault in faults(yaml(block))] == []


@pytest.mark.parametrize(
    "text",
    [
        "version: 2",
        "version: 1\nmesages: {}",
        "version: 1\nmode: observe",
        "version: 1\nhazards: {hat: {}}",
        "version: 1\nattacks: {hate: {}}",
        "version: 1\nhazards: {hate: {alpha: 1}}",
        "version: 1\nhazards: {hate: {alpha: 0}}",
        "version: 1\nhazards: {hate: {alpha: '0.5'}}",
        "version: 1\nhazards: {hate: {horizon: 0}}",
        "version: 1\nhazards: {hate: {bands: []}}",
        "version: 1\nhazards: {hate: {bands: [{action: steer}]}}",
        "version: 1\nhazards: {hate: {escalate: {after: 1}}}",
        "version: 1\nhazards: {hate: {escalate: {after: 1, within_s: 9, action: steer}}}",
        "version: 1\nhazards: {hate: {locked: 'yes'}}",
        "version: 1\ntenants: {clinic: {mode: shadow}}",
        "version: 1\ntenants: {clinic: {hazards: {hate: {locked: true}}}}",
        "version: 1\ntenants: {clinic: {hazards: {hat: {}}}}",
        "version: 1\nmessages: {mine: {fr: bonjour}}",
        "version: 1\nmessages: {mine: {en: x, english: y}}",
        "version: 1\noutput: {window_tokens: 7}",
        "version: 1\non_audit_error: continue",
        "version: 1\nunsteerable: allow",
        "version: 1\ndefaults: {escalate: {}}",
        "hazards: {}",
    ],
)
def test_what_an_editor_marks_is_refused_at_load_too(text):
    assert faults(yaml(text))
    with pytest.raises(PolicyError):
        Policy.from_yaml(text)


def test_each_call_gives_a_schema_of_its_own():
    policy_schema()["properties"].clear()
    assert policy_schema() == SCHEMA
