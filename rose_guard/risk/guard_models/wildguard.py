"""WildGuard: says whether a request is harmful, and not how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rose_guard.errors import SettingsError
from rose_guard.risk.guard_models.adapter import GuardAdapter, Verdict
from rose_guard.risk.guard_models.label_likelihood import Answer
from rose_guard.taxonomy import HAZARDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rose_guard.risk.guard_models.label_likelihood import LabelLikelihood

CARD = "https://huggingface.co/allenai/wildguard"
_PROMPT, _RESPONSE = "{prompt}", "{response}"


class WildGuard(GuardAdapter):
    """Reads P(yes) out of yes and no to ``Harmful request:``.

    WildGuard names no category. Unless told otherwise every hazard gets the whole probability of harm, so that the
    strictest rule of a policy decides: harm of an unknown kind may be of any kind.

    WildGuard knows no attacks: they score 0.

    Args:
        prompt_format: the instruction that the model was trained with, exactly as its card gives it, special tokens
            included; ``{prompt}`` stands once where the text goes, and ``{response}``, where it stands, stays empty.
        hazards: those that harm counts as.

    Raises:
        SettingsError: if the format lacks its place for the text, or a hazard is unknown.
    """

    name = "wildguard"
    pattern = r"wildguard"

    def __init__(self, prompt_format: str = "", *, hazards: Sequence[str] = tuple(HAZARDS)) -> None:
        if prompt_format.count(_PROMPT) != 1:
            raise SettingsError(
                f"WildGuard needs the instruction that it was trained with, and {_PROMPT} in it once; copy it from the "
                f"model card, {CARD}, and pass adapter=WildGuard(prompt_format=...)"
            )
        if not hazards or (unknown := [hazard for hazard in hazards if hazard not in HAZARDS]):
            named = f"unknown: {', '.join(unknown)}" if hazards else "none given"
            raise SettingsError(f"WildGuard's hazards must be some of {', '.join(HAZARDS)}; {named}")
        self._format, self._hazards = prompt_format, tuple(hazards)

    @property
    def chat_template(self) -> str:
        """The instruction as a template, its own text quoted so that nothing in it is read as Jinja."""
        before, after = self._format.replace(_RESPONSE, "").split(_PROMPT)
        return f"{{{{ {before!r} }}}}{{{{ messages[0]['content'] }}}}{{{{ {after!r} }}}}"

    @property
    def settings(self) -> tuple[object, ...]:
        """As the base class says."""
        return (*super().settings, *self._hazards)

    @property
    def known_labels(self) -> frozenset[str]:
        """As the base class says."""
        return frozenset(self._hazards)

    def verdict(self, ask: Callable[[Mapping[str, Any]], LabelLikelihood]) -> Verdict:
        """As the base class says."""
        answers = {answer: [Answer(f"Harmful request: {answer}")] for answer in ("yes", "no")}
        harmful = ask({}).probabilities(answers)["yes"]
        return Verdict(harmful, dict.fromkeys(self._hazards, 1.0))
