"""PolicyParts: everything that a policy says, every default and reference settled. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from rose_guard.policy.output_check import OutputCheck

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rose_guard.policy.decision import Action, Mode
    from rose_guard.policy.rule import Band, Rule
    from rose_guard.policy.unsteerable import Unsteerable


@dataclass(frozen=True)
class PolicyParts:
    """What a policy says.

    Args:
        rules: a rule for every hazard and attack.
        safe_prompts: by id, then language.
        reverse_prompts: by id, then language.
        messages: by id, then language.
        max_total_alpha: ceiling of a decision's total alpha.
        classifier: name of the classifier it is written for.
        on_error: the action when the classifier fails or is late.
        timeout_s: how long scoring a short conversation may take, in seconds; None sets no limit.
        ungated: steer every conversation with this band, whatever its risk; for comparisons and tests.
        mode: ``shadow`` decides, but lets only locked rules act.
        tenants: by name, the rules that differ from ``rules``.
        output: whether and how answers are checked.
        on_audit_error: the action when a decision could not be put on record.
        unsteerable: what happens to a conversation that is to be steered where the model cannot be.
    """

    rules: Mapping[str, Rule] = field(repr=False)
    safe_prompts: Mapping[str, Mapping[str, str]] = field(repr=False)
    reverse_prompts: Mapping[str, Mapping[str, str]] = field(repr=False)
    messages: Mapping[str, Mapping[str, str]] = field(repr=False)
    max_total_alpha: float
    classifier: str
    on_error: Action
    timeout_s: float | None = None
    ungated: Band | None = None
    mode: Mode = "enforce"
    tenants: Mapping[str, Mapping[str, Rule]] = field(default_factory=dict, repr=False)
    output: OutputCheck = field(default_factory=OutputCheck)
    on_audit_error: Action = "refuse"
    unsteerable: Unsteerable = "refuse"

    def parts(self) -> dict[str, Any]:
        """Each part by its name, as the constructor takes it."""
        return {part.name: getattr(self, part.name) for part in fields(PolicyParts)}
