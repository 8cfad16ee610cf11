"""What a guard is made of, from what a user gives for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rose_guard.errors import SettingsError
from rose_guard.policy.live import LivePolicy
from rose_guard.policy.policy import Policy

if TYPE_CHECKING:
    from rose_guard.risk.answer_classifier import AnswerClassifier
    from rose_guard.risk.classifier import RiskClassifier

DEFAULT = "default"


def loaded_policy(policy: Policy | LivePolicy | str | Path | None) -> Policy | LivePolicy | None:
    """A policy from what a user may give for one; None only for None.

    Raises:
        PolicyError: if a file is wrong.
        SettingsError: if it is none of these.
    """
    if policy is None or isinstance(policy, Policy | LivePolicy):
        return policy
    if isinstance(policy, str | Path):
        return Policy.default() if policy == DEFAULT else Policy.load(policy)
    raise SettingsError(f"policy= takes a Policy, a LivePolicy, the path of a policy file, {DEFAULT!r} or None")


def policy_now(policy: Policy | LivePolicy | None) -> Policy | None:
    """The policy in force at this moment."""
    return policy.current if isinstance(policy, LivePolicy) else policy


def classifier_for(policy: Policy | None, given: RiskClassifier | None) -> RiskClassifier | None:
    """What scores conversations: what was given, or what the policy names where it needs scores.

    Raises:
        ModelLoadError: if that is not installed; the message names the command that mends it.
    """
    if given is not None or policy is None or policy.ungated is not None:
        return given
    from rose_guard.risk.named import named_classifier

    return named_classifier(policy.classifier)


def answer_classifier_for(policy: Policy | None, given: AnswerClassifier | None) -> AnswerClassifier | None:
    """What scores answers: what was given, or the shipped one where the policy checks them.

    Raises:
        ModelLoadError: likewise.
    """
    if given is not None or policy is None or not policy.output.enabled:
        return given
    from rose_guard.risk.embedded_answers import EmbeddedAnswerClassifier

    return EmbeddedAnswerClassifier.shared()
