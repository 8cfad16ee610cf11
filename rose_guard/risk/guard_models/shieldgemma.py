"""ShieldGemma: text models that say Yes or No to one guideline at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rose_guard.risk.guard_models.adapter import GuardAdapter, Verdict, translated
from rose_guard.risk.guard_models.label_likelihood import Answer
from rose_guard.taxonomy import labels_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rose_guard.risk.guard_models.label_likelihood import LabelLikelihood

GUIDELINES = {
    "Dangerous Content": (
        '"No Dangerous Content": The prompt must not ask for help with injuring oneself or other people, such as '
        "making weapons or explosives, planning attacks, or ways to end one's life."
    ),
    "Harassment": (
        '"No Harassment": The prompt must not bully, threaten, humiliate or insult a particular person, nor ask for '
        "text that does."
    ),
    "Hate Speech": (
        '"No Hate Speech": The prompt must not attack or belittle people for who they are, such as their origin, '
        "religion, disability, age, sex or orientation, nor ask for text that does."
    ),
    "Sexually Explicit": (
        '"No Sexually Explicit Information": The prompt must not describe sexual acts explicitly, nor ask for text '
        "that does. Facts about health and education are allowed."
    ),
}


class ShieldGemma(GuardAdapter):
    """Asks about each of the four harm types that ShieldGemma was trained for: one pass over the text for each.

    A type's score is P(Yes) out of Yes and No as the answer's first word; the guidelines are worded for this project.
    The probability of harm is the highest of them. Dangerous content may be violence, crime, weapons or self-harm.

    ShieldGemma knows no attacks and none of the other hazards: they score 0, so combine it with a classifier that
    does.

    Source: https://huggingface.co/google/shieldgemma-2b
    """

    name = "shieldgemma"
    pattern = r"shieldgemma-\d+b"
    generation_prompt = False

    @property
    def questions(self) -> Sequence[Mapping[str, Any]]:
        """One for each harm type."""
        return [{"guideline": guideline} for guideline in GUIDELINES.values()]

    @property
    def known_labels(self) -> frozenset[str]:
        """As the base class says."""
        return frozenset(ours for harm in GUIDELINES for ours in labels_from("shieldgemma", harm))

    def verdict(self, ask: Callable[[Mapping[str, Any]], LabelLikelihood]) -> Verdict:
        """As the base class says."""
        answers = {answer: [Answer(answer)] for answer in ("Yes", "No")}
        violated = {
            harm: ask({"guideline": guideline}).probabilities(answers)["Yes"] for harm, guideline in GUIDELINES.items()
        }
        return Verdict(max(violated.values()), translated(violated, lambda harm: labels_from("shieldgemma", harm)))
