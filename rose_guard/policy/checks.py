"""The laws of a policy: what must hold of its settled parts, whether they come from a file or from Python."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from rose_guard.policy.complaint import Complaint
from rose_guard.policy.label import group_of
from rose_guard.policy.localisation import FALLBACK_LANGUAGE, canonical, is_language
from rose_guard.policy.schema import TEXT_GROUPS
from rose_guard.policy.spelling import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rose_guard.policy.complaint import Path_
    from rose_guard.policy.parts import PolicyParts
    from rose_guard.policy.rule import Rule

EMPTY_PROMPT = "null"
"""The one reverse prompt that may be empty."""


def broken_laws(parts: PolicyParts, shipped: Mapping[str, Rule]) -> list[Complaint]:
    """Every law that a policy breaks.

    Args:
        parts: the policy, each part in its range.
        shipped: the rules whose locks hold for it; empty for the shipped policy itself.
    """
    return [
        *_texts(parts),
        *_falling_bands(parts),
        *_weakened_locks(parts, shipped),
        *_weakened_by_tenants(parts),
        *(Complaint(("output", key), message) for key, message in parts.output.problems(parts.max_total_alpha)),
    ]


def all_rules(parts: PolicyParts) -> Iterator[tuple[Path_, str, Rule]]:
    """Each rule with its path and label, those of tenants included."""
    for label, rule in parts.rules.items():
        yield (group_of(label), label), label, rule
    for name, rules in parts.tenants.items():
        for label, rule in rules.items():
            yield ("tenants", name, group_of(label), label), label, rule


def _texts(parts: PolicyParts) -> Iterator[Complaint]:
    for group in TEXT_GROUPS:
        for name, texts in getattr(parts, group).items():
            may_be_empty = group == "reverse_prompts" and name == EMPTY_PROMPT
            yield from _languages((group, name), texts)
            for language, text in texts.items():
                if not may_be_empty and not text.strip():
                    yield Complaint((group, name, language), f"the text of {shown(name)} is empty; write one")


def _languages(path: Path_, texts: Mapping[str, str]) -> Iterator[Complaint]:
    seen: set[str] = set()
    for language in texts:
        if not is_language(language):
            yield Complaint(
                (*path, language), f"{shown(language)} is no language code; use one such as 'fr' or 'fr-CA'"
            )
        elif canonical(language) in seen:
            yield Complaint((*path, language), f"the language {language!r} is there twice; case makes no difference")
        seen.add(canonical(str(language)))
    if FALLBACK_LANGUAGE not in seen:
        missing = f"{shown(path[-1])} has no `{FALLBACK_LANGUAGE}` text, which other languages fall back to"
        yield Complaint(path, missing)


def _falling_bands(parts: PolicyParts) -> Iterator[Complaint]:
    """A higher score must never give a weaker action, nor a weaker contrast."""
    for path, label, rule in all_rules(parts):
        for i, (lower, higher) in enumerate(pairwise(rule.bands), start=1):
            if higher.is_weaker_than(lower):
                falls = f"{label}: a higher score gives a weaker action, a smaller alpha or a shorter horizon"
                yield Complaint((*path, "bands", i), falls)


def _weakened_locks(parts: PolicyParts, shipped: Mapping[str, Rule]) -> Iterator[Complaint]:
    """A rule that the shipped policy locks may be tightened, never loosened."""
    for label, floor in shipped.items():
        if floor.locked:
            path: Path_ = (group_of(label), label)
            if not parts.rules[label].locked:
                yield Complaint(path, f"{label} is locked by the shipped policy, and must stay so")
            for shortfall in parts.rules[label].shortfalls(floor):
                yield Complaint(path, f"{label} is locked by the shipped policy: {shortfall}")


def _weakened_by_tenants(parts: PolicyParts) -> Iterator[Complaint]:
    """A tenant keeps every lock, and what is locked."""
    for name, rules in parts.tenants.items():
        for label, rule in rules.items():
            path: Path_ = ("tenants", name, group_of(label), label)
            own = parts.rules[label]
            if rule.locked != own.locked:
                yield Complaint(path, f"a tenant cannot set 'locked': {label} must be as the policy's own rule")
            for shortfall in rule.shortfalls(own) if own.locked else ():
                yield Complaint(path, f"{label} is locked for tenants: {shortfall}")
