"""The JSON Schema of policy files, for editors that complete and check while one writes.

It tells the shape of a file; whether ids are known, bands rise and locks hold, only loading it tells.
"""

from __future__ import annotations

from typing import Any

from rose_guard.policy.localisation import FALLBACK_LANGUAGE, LANGUAGE
from rose_guard.policy.schema import TEXT_GROUPS, PolicyFile
from rose_guard.taxonomy import ATTACKS, HAZARDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LABELS = {"hazards": HAZARDS, "attacks": ATTACKS}


def policy_schema() -> dict[str, Any]:
    """A JSON Schema (2020-12) in which hazards and attacks are listed, each with its description."""
    schema = _without_null(PolicyFile.model_json_schema())
    for holder in (schema, schema["$defs"]["TenantEntry"]):
        for group, labels in _LABELS.items():
            holder["properties"][group] = _listed(holder["properties"][group], labels)
    for group in TEXT_GROUPS:
        schema["properties"][group]["additionalProperties"] = {
            "type": "object",
            "required": [FALLBACK_LANGUAGE],
            "propertyNames": {"pattern": f"^{LANGUAGE}$"},
            "additionalProperties": {"type": "string"},
        }
    return {**schema, "$schema": DIALECT, "title": "rose_guard policy"}


def _listed(group: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    entry = group["additionalProperties"]
    properties = {label: {**entry, "description": description} for label, description in labels.items()}
    kept: dict[str, Any] = {key: group[key] for key in ("title", "description") if key in group}
    return {**kept, "type": "object", "properties": properties, "additionalProperties": False}


def _without_null(node: Any) -> Any:
    """A key of a policy file is left out, never null: so null is no choice, and no default."""
    if isinstance(node, list):
        return [_without_null(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _without_null(value) for key, value in node.items() if not (key == "default" and value is None)}
    choices = node.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        (only,) = (choice for choice in choices if choice != {"type": "null"})
        del node["anyOf"]
        return {**only, **node}
    return node
