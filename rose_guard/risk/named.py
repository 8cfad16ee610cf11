"""The classifiers that a policy may name without being given one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.errors import SettingsError

if TYPE_CHECKING:
    from rose_guard.risk.embedded import EmbeddedClassifier


def named_classifier(name: str) -> EmbeddedClassifier:
    """The classifier of that name; a process holds one copy of each.

    Args:
        name: ``embedded`` or ``embedded-multilingual``, as a policy's ``classifier.name``.

    Raises:
        SettingsError: if it is another one, which only whoever made it can pass.
        ModelLoadError: if it is not installed; the message names the command that installs it.
    """
    from rose_guard.risk.embedded import EmbeddedClassifier

    if name == "embedded":
        return EmbeddedClassifier.shared()
    if name == "embedded-multilingual":
        return EmbeddedClassifier.multilingual()
    raise SettingsError(f"the policy is written for the classifier {name!r}; pass classifier=")
