"""The values of a policy made in Python: labels known, numbers in range. A file's schema has seen to its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.policy.checks import all_rules
from rose_guard.policy.complaint import Complaint
from rose_guard.policy.decision import ACTIONS, MODES
from rose_guard.policy.label import LABELS
from rose_guard.policy.ranges import is_between, is_from_to, is_whole
from rose_guard.policy.rule import MAX_HORIZON
from rose_guard.policy.schema import MAX_TIMEOUT_S, TEXT_GROUPS
from rose_guard.policy.severity import SEVERITIES
from rose_guard.policy.tenants import is_tenant
from rose_guard.policy.unsteerable import UNSTEERABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rose_guard.policy.complaint import Path_
    from rose_guard.policy.parts import PolicyParts
    from rose_guard.policy.rule import Band, Rule

_STRICT = ("refuse", "block")


def wrong_values(parts: PolicyParts) -> list[Complaint]:
    """Every value of a policy that is none, or out of its range."""
    complaints = [*_whole_policy(parts), *_labels(parts), *_texts(parts)]
    for path, _, rule in all_rules(parts):
        complaints += _rule(path, rule)
    if parts.ungated is not None:
        complaints += _ungated(parts, parts.ungated)
    return complaints


def _whole_policy(parts: PolicyParts) -> Iterator[Complaint]:
    if not is_between(parts.max_total_alpha, 0.0, 1.0):
        yield Complaint(("max_total_alpha",), "must be above 0 and below 1")
    if parts.mode not in MODES:
        yield Complaint(("mode",), "must be 'enforce' or 'shadow'")
    if parts.on_error not in _STRICT:
        yield Complaint(("on_error",), "a classifier that fails must lead to 'refuse' or 'block'")
    if parts.on_audit_error not in _STRICT:
        yield Complaint(("on_audit_error",), "what cannot be put on record must lead to 'refuse' or 'block'")
    if parts.unsteerable not in UNSTEERABLE:
        yield Complaint(("unsteerable",), f"must be one of: {', '.join(UNSTEERABLE)}")
    if parts.timeout_s is not None and not (is_from_to(parts.timeout_s, 0.0, MAX_TIMEOUT_S) and parts.timeout_s > 0):
        yield Complaint(("timeout_s",), f"must be above 0 and at most {MAX_TIMEOUT_S:.0f} seconds")


def _labels(parts: PolicyParts) -> Iterator[Complaint]:
    for label in LABELS:
        if label not in parts.rules:
            yield Complaint((), f"no rule for {label}; give one for every hazard and attack")
    for path, label, _ in all_rules(parts):
        if label not in LABELS:
            yield Complaint(path, "the taxonomy has no such hazard or attack")
    for name in parts.tenants:
        if not is_tenant(name):
            yield Complaint(("tenants",), "a tenant's name must be a short text that can be read in a log line")


def _texts(parts: PolicyParts) -> Iterator[Complaint]:
    for group in TEXT_GROUPS:
        for name, texts in getattr(parts, group).items():
            if not all(isinstance(text, str) for text in texts.values()):
                yield Complaint((group, name), "a prompt or message is a text by language")


def _rule(path: Path_, rule: Rule) -> Iterator[Complaint]:
    if not rule.bands:
        yield Complaint((*path, "bands"), "a rule has at least one band")
    if rule.severity not in SEVERITIES:
        yield Complaint((*path, "severity"), f"must be one of: {', '.join(SEVERITIES)}")
    if not isinstance(rule.locked, bool):
        yield Complaint((*path, "locked"), "must be True or False")
    for i, band in enumerate(rule.bands):
        yield from _band((*path, "bands", i), band)
    ats = [band.at for band in rule.bands if is_from_to(band.at, 0.0, 1.0)]
    if ats != sorted(set(ats)):
        yield Complaint((*path, "bands"), "bands must be listed with rising `at`")


def _band(path: Path_, band: Band) -> Iterator[Complaint]:
    if not is_from_to(band.at, 0.0, 1.0):
        yield Complaint((*path, "at"), "must be a number from 0 to 1")
    if band.action not in ACTIONS:
        yield Complaint((*path, "action"), f"must be one of: {', '.join(ACTIONS)}")
    if not is_between(band.alpha, 0.0, 1.0):
        towards = "a negative alpha would decode towards the reverse prompt"
        yield Complaint((*path, "alpha"), f"must be above 0 and below 1; {towards}")
    if band.horizon is not None and not is_whole(band.horizon, 1, MAX_HORIZON):
        yield Complaint((*path, "horizon"), f"must be None or a whole number from 1 to {MAX_HORIZON}")


def _ungated(parts: PolicyParts, band: Band) -> Iterator[Complaint]:
    yield from _band(("ungated",), band)
    if band.action != "steer":
        yield Complaint(("ungated", "action"), "must be 'steer'")
    if parts.mode == "shadow":
        yield Complaint(("mode",), "a policy that steers everything has no rules for a shadow to watch")
