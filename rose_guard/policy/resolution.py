"""From a policy file to the parts of a Policy: defaults settled, references followed, every mistake found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.policy.checks import broken_laws
from rose_guard.policy.complaint import Complaint
from rose_guard.policy.escalation import Escalation
from rose_guard.policy.output_check import OutputCheck
from rose_guard.policy.parts import PolicyParts
from rose_guard.policy.references import unknown_in_file
from rose_guard.policy.rule import Band, Rule
from rose_guard.policy.schema import BandEntry
from rose_guard.policy.tenants import tenant_rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.policy.document import PolicyDocument
    from rose_guard.policy.schema import Defaults, PolicyFile, RuleEntry


def resolve(document: PolicyDocument, shipped: PolicyParts | None) -> PolicyParts:
    """Settle a file's defaults and references, over the shipped policy for what it does not list.

    Raises:
        PolicyError: listing every mistake with its place in the file.
    """
    file, complaints = document.parse()
    rules = _rules(file, shipped.rules if shipped else {})
    tenants, unsettled = tenant_rules(file, rules)
    parts = PolicyParts(
        rules=rules,
        safe_prompts={**(shipped.safe_prompts if shipped else {}), **file.safe_prompts},
        reverse_prompts={**(shipped.reverse_prompts if shipped else {}), **file.reverse_prompts},
        messages={**(shipped.messages if shipped else {}), **file.messages},
        max_total_alpha=file.max_total_alpha,
        classifier=file.classifier.name,
        on_error=file.classifier.on_error,
        timeout_s=file.classifier.timeout_s,
        mode=file.mode,
        tenants=tenants,
        output=OutputCheck(**file.output.model_dump()),
        on_audit_error=file.on_audit_error,
        unsteerable=file.unsteerable,
    )
    complaints = [
        *complaints,
        *unsettled,
        *unknown_in_file(document.root, parts),
        *_unused_restart_alpha(file),
        *broken_laws(parts, shipped.rules if shipped else {}),
    ]
    if complaints:
        raise document.error(complaints)
    return parts


def _rules(file: PolicyFile, shipped: Mapping[str, Rule]) -> dict[str, Rule]:
    locked = {label for label, rule in shipped.items() if rule.locked}
    own = {
        label: _rule(entry, file.defaults, locked=entry.locked or label in locked)
        for label, entry in (file.hazards | file.attacks).items()
    }
    return {**shipped, **own}


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
        escalate=Escalation(**entry.escalate.model_dump()) if entry.escalate else None,
    )


def _band(band: BandEntry, entry: RuleEntry, defaults: Defaults) -> Band:
    def first(name: str) -> object:
        values = (getattr(source, name) for source in (band, entry, defaults))
        return next((value for value in values if value is not None), None)

    inherited = ("alpha", "horizon", "safe_prompt", "reverse_prompt", "message")
    return Band(at=band.at, action=band.action, **{name: first(name) for name in inherited})  # type: ignore[arg-type]


def _unused_restart_alpha(file: PolicyFile) -> list[Complaint]:
    """A strength that is written down must be possible, even where no restart uses it."""
    given = "restart_alpha" in file.output.model_fields_set and file.output.action != "restart"
    if not given or file.output.restart_alpha <= file.max_total_alpha:
        return []
    too_much = f"restart_alpha must be at most max_total_alpha, {file.max_total_alpha}"
    return [Complaint(("output", "restart_alpha"), too_much)]
