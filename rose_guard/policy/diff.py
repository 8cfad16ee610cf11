"""What differs between two policies, as they apply. Prompts and messages are never shown, only that they changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from rose_guard.policy.label import group_of
from rose_guard.policy.parts import PolicyParts
from rose_guard.policy.schema import TEXT_GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rose_guard.policy.policy import Policy
    from rose_guard.policy.rule import Rule

DIGEST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs.

    Args:
        path: where, as in a policy file: ``hazards.hate.bands.0.alpha``.
        before: the value in the first policy, in JSON's words; None where it has none.
        after: likewise in the second.
    """

    path: str
    before: str | None
    after: str | None


def differences(a: Policy, b: Policy) -> tuple[Difference, ...]:
    """Every value that differs, in the order of the first policy, then of the second.

    Rules are compared as they apply, defaults settled: a tenant's rule that only one of the two lists is compared
    with the rule that the tenant has in the other one.
    """
    before, after = dict(_values(a, b)), dict(_values(b, a))
    paths = dict.fromkeys([*before, *after])
    return tuple(
        Difference(path, before.get(path), _changed(after.get(path), before.get(path)))
        for path in paths
        if before.get(path) != after.get(path)
    )


def _values(policy: Policy, other: Policy) -> Iterator[tuple[str, str]]:
    for part in fields(PolicyParts):
        value = getattr(policy, part.name)
        if part.name == "rules":
            yield from _rules("", policy.rules)
        elif part.name == "tenants":
            for tenant in policy.tenants:
                yield f"tenants.{tenant}", "listed"
                yield from _rules(f"tenants.{tenant}.", _listed_by_either(tenant, policy, other))
        elif part.name in TEXT_GROUPS:
            yield from _texts(part.name, value)
        else:
            yield from _flat(part.name, asdict(value) if hasattr(value, "__dataclass_fields__") else value)


def _listed_by_either(tenant: str, policy: Policy, other: Policy) -> dict[str, Rule]:
    rules = policy.rulebook(tenant).rules
    listed = {*policy.tenants[tenant], *other.tenants.get(tenant, ())}
    return {label: rule for label, rule in rules.items() if label in listed}


def _rules(prefix: str, rules: Mapping[str, Rule]) -> Iterator[tuple[str, str]]:
    for label, rule in rules.items():
        yield from _flat(f"{prefix}{group_of(label)}.{label}", asdict(rule))


def _texts(group: str, texts: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for name, languages in texts.items():
        for language, text in languages.items():
            digest = hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]
            yield f"{group}.{name}.{language}", f"text (sha256 {digest})"


def _changed(after: str | None, before: str | None) -> str | None:
    if after is None or before is None or not before.startswith("text (sha256"):
        return after
    return after.replace("text", "text changed", 1)


def _flat(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{path}.{key}", inner)
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _flat(f"{path}.{i}", inner)
    elif value is not None:
        yield path, _word(value)


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
