"""Tenants: a tenant's rules, settled over the policy's own. An entry lists only what differs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rose_guard.policy.complaint import Complaint
from rose_guard.policy.escalation import Escalation
from rose_guard.policy.label import group_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.policy.complaint import Path_
    from rose_guard.policy.rule import Band, Rule
    from rose_guard.policy.schema import BandEntry, PolicyFile, TenantRuleEntry

MAX_TENANT_CHARACTERS = 128
_EFFECT = ("alpha", "horizon", "safe_prompt", "reverse_prompt", "message")


def tenant_rules(file: PolicyFile, rules: Mapping[str, Rule]) -> tuple[dict[str, dict[str, Rule]], list[Complaint]]:
    """By tenant, the rules that it lists; and which entries could not be settled."""
    tenants: dict[str, dict[str, Rule]] = {}
    complaints: list[Complaint] = []
    for name, tenant in file.tenants.items():
        tenants[name] = {}
        for label, entry in (tenant.hazards | tenant.attacks).items():
            if ambiguous := _ambiguous(entry, rules[label]):
                path: Path_ = ("tenants", name, group_of(label), label, ambiguous)
                complaints.append(Complaint(path, _needs_bands(label, rules[label])))
            else:
                tenants[name][label] = _rule(entry, rules[label])
    return tenants, complaints


def is_tenant(name: object) -> bool:
    """Whether a tenant may be called so: what an identity provider gives, as long as it can be read in a log line."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_TENANT_CHARACTERS:
        return False
    return name.isprintable() and name == name.strip()


def _ambiguous(entry: TenantRuleEntry, base: Rule) -> str | None:
    """The key that does not say which of several bands it means."""
    if len(base.bands) == 1:
        return None
    return next((key for key in ("threshold", "action") if getattr(entry, key) is not None), None)


def _needs_bands(label: str, base: Rule) -> str:
    return f"the policy's own rule for {label} has {len(base.bands)} bands; give `bands` instead, to say what each does"


def _rule(entry: TenantRuleEntry, base: Rule) -> Rule:
    if entry.bands is not None:
        bands = tuple(_band(band, entry, base) for band in entry.bands)
    else:
        given = {"at": entry.threshold, "action": entry.action, **_effect(entry)}
        changes = {key: value for key, value in given.items() if value is not None}
        bands = tuple(replace(band, **changes) for band in base.bands)  # type: ignore[arg-type]
    return replace(
        base,
        bands=bands,
        severity=entry.severity or base.severity,
        escalate=Escalation(**entry.escalate.model_dump()) if entry.escalate else base.escalate,
    )


def _band(band: BandEntry, entry: TenantRuleEntry, base: Rule) -> Band:
    """What a band leaves out comes from its entry, then from the policy's own band at that score, or the first."""
    own = base.band(band.at) or base.bands[0]
    effect = {key: value for source in (entry, band) for key, value in _effect(source).items()}
    return replace(own, at=band.at, action=band.action, **effect)  # type: ignore[arg-type]


def _effect(entry: TenantRuleEntry | BandEntry) -> dict[str, object]:
    return {key: value for key in _EFFECT if (value := getattr(entry, key)) is not None}
