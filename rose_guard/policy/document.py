"""PolicyDocument: a policy file in its schema's shape, as far as it has it, and every mistake of shape in it."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rose_guard.policy.complaint import Complaint, in_words
from rose_guard.policy.schema import TEXT_GROUPS, PolicyFile
from rose_guard.policy.yaml_document import YamlDocument, read_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rose_guard.policy.complaint import Path_

_TENANT_RULE = 4
"""Length of the path of a tenant's rule: ``tenants``, its name, the group, the label. Shorter paths lead to more."""


class PolicyDocument(YamlDocument):
    """A policy's text, parsed but not yet judged."""

    @classmethod
    def read(cls, path: Path) -> PolicyDocument:
        """Read a file of at most 1 MB.

        Raises:
            PolicyError: if it cannot be read, or is no plain YAML.
        """
        return cls(read_text(path), str(path))

    def parse(self) -> tuple[PolicyFile, list[Complaint]]:
        """The file in its schema's shape, without what has not that shape, and the mistakes in the latter.

        Raises:
            PolicyError: if what is left could not be judged fairly, so that the mistakes of shape are all there is
                to say.
        """
        try:
            file = PolicyFile.model_validate(self.root)
        except ValidationError as error:
            complaints = [*self.mistakes, *self.unsaid(in_words(error.errors(), PolicyFile, TEXT_GROUPS))]
        else:
            if not self.mistakes:
                return file, []
            complaints = self.mistakes
        sound = _without(self.root, [complaint.path for complaint in complaints])
        try:
            return PolicyFile.model_validate(sound), complaints
        except ValidationError:
            raise self.error(complaints) from None


def _without(root: dict[str, Any], paths: Sequence[Path_]) -> dict[str, Any] | None:
    """The file without each rule and text that has a mistake; None where that would change what the rest means."""
    sound = deepcopy(root)
    for path in paths:
        if not _drop(sound, path):
            return None
    return sound


def _drop(sound: dict[str, Any], path: Path_) -> bool:
    match path:
        case (("hazards" | "attacks") as group, label, *_):
            _discard(sound, (group, label))
            tenants = sound.get("tenants")
            for tenant in tenants if isinstance(tenants, dict) else ():
                _discard(sound, ("tenants", tenant, group, label))  # it differs from what is not known now
        case ("tenants", _, *_):
            _discard(sound, path[:_TENANT_RULE])
        case (("safe_prompts" | "reverse_prompts" | "messages") as group, prompt_id, *_):
            if not isinstance(sound.get(group), dict):
                return False
            if prompt_id in sound[group]:  # it is known, whatever it says
                sound[group][prompt_id] = {"en": "…"}
        case (("output" | "on_audit_error" | "unsteerable" | "mode" | "classifier") as key, *_):
            _discard(sound, (key,))
        case _:
            return False
    return True


def _discard(node: Any, path: Path_) -> None:
    *parents, last = path
    for part in parents:
        node = node.get(part) if isinstance(node, dict) else None
    if isinstance(node, dict):
        node.pop(last, None)
