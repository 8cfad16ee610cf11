"""GraniteGuardian: Granite Guardian 3.0 to 3.2, which say Yes or No to one risk at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rose_guard.risk.guard_models.adapter import GuardAdapter, Verdict, translated
from rose_guard.risk.guard_models.label_likelihood import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rose_guard.risk.guard_models.label_likelihood import LabelLikelihood

UMBRELLA, ATTACK = "harm", "jailbreak"
HAZARDS_OF = {
    "social_bias": ("hate",),
    "violence": ("violent_crimes", "sex_crimes", "indiscriminate_weapons", "suicide_self_harm"),
    "profanity": ("harassment_toxicity",),
    "sexual_content": ("sexual_content", "sex_crimes", "child_sexual_exploitation"),
    "unethical_behavior": (
        "nonviolent_crimes",
        "defamation",
        "privacy",
        "intellectual_property",
        "elections",
        "code_abuse",
        "misinformation",
        "other_unethical",
    ),
}
"""What each risk may mean; unethical behaviour is what breaks moral or legal rules."""
RISKS = (UMBRELLA, ATTACK, *HAZARDS_OF)


class GraniteGuardian(GuardAdapter):
    """Asks about seven risks by name: one pass over the text for each.

    A risk's score is P(Yes) out of Yes and No as the answer. The probability of harm is the highest one, jailbreak
    aside; ``harm`` itself is an umbrella that names no hazard. ``jailbreak`` is the attack of that name, and stands by
    itself; the other attacks score 0, and so do specialised advice and overreliance.

    Later versions name risks and answer in another form, and are not supported.

    Source: https://www.ibm.com/granite/docs/models/guardian/
    """

    name = "granite-guardian"
    pattern = r"granite-guardian-3\.[0-2]"

    @property
    def questions(self) -> Sequence[Mapping[str, Any]]:
        """One for each risk."""
        return [_question(risk) for risk in RISKS]

    @property
    def known_labels(self) -> frozenset[str]:
        """As the base class says."""
        return frozenset((ATTACK, *(hazard for hazards in HAZARDS_OF.values() for hazard in hazards)))

    def verdict(self, ask: Callable[[Mapping[str, Any]], LabelLikelihood]) -> Verdict:
        """As the base class says."""
        answers = {answer: [Answer(answer)] for answer in ("Yes", "No")}
        found = {risk: ask(_question(risk)).probabilities(answers)["Yes"] for risk in RISKS}
        harmful = max(score for risk, score in found.items() if risk != ATTACK)
        hazards = translated({risk: found[risk] for risk in HAZARDS_OF}, HAZARDS_OF.__getitem__)
        return Verdict(harmful, hazards, {ATTACK: found[ATTACK]})


def _question(risk: str) -> Mapping[str, Any]:
    return {"guardian_config": {"risk_name": risk}}
