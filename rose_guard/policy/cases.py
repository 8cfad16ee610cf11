"""PolicyCase: a conversation and what a policy should decide of it; a file of them, and whether one holds.

Knows no classifier: whoever runs the cases scores their messages and brings the decisions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from rose_guard.policy.case_file import CaseFile, MessageEntry
from rose_guard.policy.complaint import Complaint, in_words
from rose_guard.policy.spelling import shown
from rose_guard.policy.yaml_document import YamlDocument, read_text

if TYPE_CHECKING:
    from rose_guard.policy.case_file import CaseEntry, Role
    from rose_guard.policy.decision import Action, Decision

ALPHA_TOLERANCE = 1e-6
_WHAT = "a file of cases is a mapping with `version: 1` and a list of `cases`"


@dataclass(frozen=True, slots=True)
class CaseMessage:
    """One turn of a case."""

    role: Role
    content: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a decision must be; None where it may be anything.

    Args:
        action: its action.
        hazards: its hazards, in any order.
        attacks: its attacks, in any order.
        alpha: its total alpha.
        reverse_prompts: ids of its reverse prompts, in any order.
    """

    action: Action
    hazards: frozenset[str] | None = None
    attacks: frozenset[str] | None = None
    alpha: float | None = None
    reverse_prompts: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class PolicyCase:
    """A conversation and what a policy should decide of it.

    Args:
        id: its name in reports.
        messages: the conversation.
        expect: the decision that is right.
        tenant: whose rules are asked; None for the policy's own.
    """

    id: str
    messages: tuple[CaseMessage, ...]
    expect: Expectation
    tenant: str | None = None


def read_cases(path: str | Path) -> tuple[PolicyCase, ...]:
    """The cases of a YAML file.

    Raises:
        PolicyError: listing every mistake as ``FILE:LINE:COLUMN: what, and a suggestion``.
    """
    return cases_from_yaml(read_text(Path(path)), name=str(path))


def cases_from_yaml(text: str, *, name: str = "cases") -> tuple[PolicyCase, ...]:
    """As :func:`read_cases`, from a text."""
    document = YamlDocument(text, name, _WHAT)
    complaints = list(document.mistakes)
    entries: list[CaseEntry] = []
    try:
        entries = CaseFile.model_validate(document.root).cases
    except ValidationError as error:
        complaints += document.unsaid(in_words(error.errors(), CaseFile, ("cases",)))
    complaints += _twice(entries)
    if complaints:
        raise document.error(complaints)
    return tuple(_case(entry) for entry in entries)


def check_case(decision: Decision, case: PolicyCase) -> list[str]:
    """What a decision has that the case does not expect, one line each; nothing where the case holds.

    In shadow mode it is the whole policy's decision that is checked, not the locked rules' alone.
    """
    made = decision.shadow or decision
    found = {
        "action": (case.expect.action, made.action),
        "hazards": (case.expect.hazards, frozenset(made.hazards)),
        "attacks": (case.expect.attacks, frozenset(made.attacks)),
        "alpha": (case.expect.alpha, made.alpha),
        "reverse_prompts": (case.expect.reverse_prompts, frozenset(prompt_id for prompt_id, _ in made.branches)),
    }
    return [
        f"{name}: expected {_shown(expected)}, not {_shown(actual)}"
        for name, (expected, actual) in found.items()
        if expected is not None and not _same(expected, actual)
    ]


def _case(entry: CaseEntry) -> PolicyCase:
    turns = entry.messages or [MessageEntry(role="user", content=entry.text or "")]
    expect = entry.expect
    return PolicyCase(
        entry.id,
        tuple(CaseMessage(turn.role, turn.content) for turn in turns),
        Expectation(
            expect.action, _set(expect.hazards), _set(expect.attacks), expect.alpha, _set(expect.reverse_prompts)
        ),
        entry.tenant,
    )


def _twice(entries: list[CaseEntry]) -> list[Complaint]:
    ids = [entry.id for entry in entries]
    return [
        Complaint(("cases", i, "id"), f"the id {shown(case_id)} is there twice; give each case its own")
        for i, case_id in enumerate(ids)
        if case_id in ids[:i]
    ]


def _set(names: list[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


def _same(expected: object, actual: object) -> bool:
    if isinstance(expected, float) and isinstance(actual, float):
        return math.isclose(expected, actual, abs_tol=ALPHA_TOLERANCE)
    return expected == actual


def _shown(value: object) -> str:
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "none"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
