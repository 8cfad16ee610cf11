"""From a policy file to the parts of a Policy: defaults settled, references followed, every mistake found."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypedDict

from rose_guard.policy.rule import Band, Rule
from rose_guard.policy.schema import BandEntry, Defaults, PolicyFile, RuleEntry
from rose_guard.policy.spelling import did_you_mean
from rose_guard.taxonomy import HAZARDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.policy.decision import Action
    from rose_guard.policy.document import Path_, PolicyDocument
    from rose_guard.policy.policy import Policy

FALLBACK_LANGUAGE = "en"


class Resolved(TypedDict):
    """A policy's parts, as its constructor takes them."""

    rules: dict[str, Rule]
    safe_prompts: dict[str, Mapping[str, str]]
    reverse_prompts: dict[str, Mapping[str, str]]
    messages: dict[str, Mapping[str, str]]
    max_total_alpha: float
    classifier: str
    timeout_s: float
    on_error: Action


def resolve(document: PolicyDocument, base: Policy | None) -> Resolved:
    """Settle a file's defaults and references, over a base policy for what it does not list.

    Raises:
        PolicyError: listing every mistake with its place in the file.
    """
    file = document.parse()
    locked = {label for label, rule in base.rules.items() if rule.locked} if base else set()
    own_rules = {
        label: _rule(entry, file.defaults, locked=entry.locked or label in locked)
        for label, entry in (file.hazards | file.attacks).items()
    }
    resolved = Resolved(
        rules={**(base.rules if base else {}), **own_rules},
        safe_prompts={**(base.safe_prompts if base else {}), **file.safe_prompts},
        reverse_prompts={**(base.reverse_prompts if base else {}), **file.reverse_prompts},
        messages={**(base.messages if base else {}), **file.messages},
        max_total_alpha=file.max_total_alpha,
        classifier=file.classifier.name,
        timeout_s=file.classifier.timeout_s,
        on_error=file.classifier.on_error,
    )
    complaints = [
        *_dangling(file, resolved),
        *_without_fallback_language(file),
        *_not_monotonic(own_rules),
        *(_loosened_locks(own_rules, base) if base else ()),
    ]
    if complaints:
        raise document.error(complaints)
    return resolved


def _rule(entry: RuleEntry, defaults: Defaults, *, locked: bool) -> Rule:
    bands = entry.bands or [
        BandEntry(
            at=defaults.threshold if entry.threshold is None else entry.threshold,
            action=entry.action or defaults.action,
        )
    ]
    return Rule(
        bands=tuple(_band(band, entry, defaults) for band in bands),
        severity=entry.severity or defaults.severity,
        locked=locked,
    )


def _band(band: BandEntry, entry: RuleEntry, defaults: Defaults) -> Band:
    def first(name: str) -> object:
        values = (getattr(source, name) for source in (band, entry, defaults))
        return next((value for value in values if value is not None), None)

    inherited = ("alpha", "horizon", "safe_prompt", "reverse_prompt", "message")
    return Band(at=band.at, action=band.action, **{name: first(name) for name in inherited})  # type: ignore[arg-type]


def _dangling(file: PolicyFile, resolved: Resolved) -> list[tuple[Path_, str]]:
    """References to prompts and messages that neither the file nor the shipped policy has."""
    known: dict[str, Mapping[str, object]] = {
        "safe_prompt": resolved["safe_prompts"],
        "reverse_prompt": resolved["reverse_prompts"],
        "message": resolved["messages"],
    }
    places: list[tuple[Path_, object]] = [(("defaults",), file.defaults)]
    for group, entries in (("hazards", file.hazards), ("attacks", file.attacks)):
        for label, entry in entries.items():
            places.append(((group, label), entry))
            places += [((group, label, "bands", i), band) for i, band in enumerate(entry.bands or ())]
    return [
        ((*path, key), f"unknown {key.replace('_', ' ')} {name!r}{did_you_mean(name, texts)}")
        for path, entry in places
        for key, texts in known.items()
        if (name := getattr(entry, key)) is not None and name not in texts
    ]


def _without_fallback_language(file: PolicyFile) -> list[tuple[Path_, str]]:
    return [
        ((group, name), f"{name!r} has no `{FALLBACK_LANGUAGE}` text, which other languages fall back to")
        for group in ("safe_prompts", "reverse_prompts", "messages")
        for name, texts in getattr(file, group).items()
        if FALLBACK_LANGUAGE not in texts
    ]


def _not_monotonic(rules: dict[str, Rule]) -> list[tuple[Path_, str]]:
    """A higher score must never give a weaker action, nor a weaker contrast."""
    return [
        (
            (_group(label), label, "bands", i),
            f"{label}: a higher score gives a weaker action, a smaller alpha or a shorter horizon",
        )
        for label, rule in rules.items()
        for i, (lower, higher) in enumerate(pairwise(rule.bands), start=1)
        if higher.is_weaker_than(lower)
    ]


def _loosened_locks(rules: dict[str, Rule], base: Policy) -> list[tuple[Path_, str]]:
    """A locked rule may be tightened, never loosened."""
    return [
        (
            (_group(label), label),
            (
                f"{label} is locked by the shipped policy: from a score of {band.at} its action must be "
                f"{band.action!r} or stricter"
            ),
        )
        for label, rule in rules.items()
        if base.rules[label].locked
        for band in base.rules[label].bands
        if (own := rule.band(band.at)) is None or own.is_weaker_than(band)
    ]


def _group(label: str) -> str:
    return "hazards" if label in HAZARDS else "attacks"
