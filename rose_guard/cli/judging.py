"""What the commands that judge prompts judge them by: a policy, and the classifier that it is written for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rose_guard.cli.screen import Screen
    from rose_guard.policy.policy import Policy
    from rose_guard.risk.classifier import Classifier


def chosen_policy(file: Path | None) -> Policy:
    """The policy of a file, or the shipped one."""
    from rose_guard.policy.policy import Policy

    return Policy.load(file) if file else Policy.default()


def classifier_for(policy: Policy, screen: Screen) -> Classifier:
    """The classifier that a policy names, loaded while the screen says so."""
    from rose_guard.risk.named import named_classifier

    with screen.busy("Loading the classifier …"):
        return named_classifier(policy.classifier)
