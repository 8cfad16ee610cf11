"""GuardAdapter: what GuardModel must know of one family of guard models; Verdict: what such a model says."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from rose_guard.risk.classifier import EVERY_LABEL
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rose_guard.risk.guard_models.label_likelihood import LabelLikelihood


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a model says of one piece, in this taxonomy.

    Args:
        harmful: probability of harm.
        hazards: how likely each is, in any unit; those that the model knows nothing of may be left out.
        attacks: the probability of each; likewise.
    """

    harmful: float
    hazards: Mapping[str, float]
    attacks: Mapping[str, float] = field(default_factory=dict)

    def scores(self) -> dict[str, float]:
        """A score in [0, 1] for ``harmful``, every hazard and every attack.

        The likeliest hazard carries the whole probability of harm and the others their proportion of it, so that harm
        without a clear category is never lost. Where no hazard has any likelihood, each carries all of it.
        """
        most = max(self.hazards.values(), default=0.0)
        shares = {hazard: self.hazards.get(hazard, 0.0) / most if most else 1.0 for hazard in HAZARDS}
        return {
            "harmful": self.harmful,
            **{hazard: self.harmful * share for hazard, share in shares.items()},
            **{attack: self.attacks.get(attack, 0.0) for attack in ATTACKS},
        }


class GuardAdapter(ABC):
    """How one family of guard models is asked, and what its answers mean."""

    name: ClassVar[str]
    """The family's name."""
    pattern: ClassVar[str]
    """A regular expression that its models' names match, in lower case."""
    together: ClassVar[bool] = False
    """Whether its chat template shows a whole conversation."""
    generation_prompt: ClassVar[bool] = True
    """Whether the chat template is asked to begin the assistant's turn."""

    @property
    def chat_template(self) -> str | None:
        """A chat template to use instead of the tokenizer's own."""
        return None

    @property
    def questions(self) -> Sequence[Mapping[str, Any]]:
        """Variables for the chat template, for each question that is asked of a piece."""
        return ({},)

    @property
    def settings(self) -> tuple[object, ...]:
        """All of the adapter that scores depend on."""
        return (self.chat_template, *self.questions)

    @property
    def known_labels(self) -> frozenset[str]:
        """Hazards and attacks that its models can tell; all of the taxonomy unless overridden."""
        return EVERY_LABEL

    @abstractmethod
    def verdict(self, ask: Callable[[Mapping[str, Any]], LabelLikelihood]) -> Verdict:
        """Ask the questions and read the likelihoods of the answers.

        Raises:
            ClassifierError: from asking.
        """

    @classmethod
    def knows(cls, model_id: str) -> bool:
        """Whether a model is of this family, by its name."""
        return re.search(cls.pattern, model_id.lower()) is not None


def translated(likelihoods: Mapping[str, float], meaning: Callable[[str], Sequence[str]]) -> dict[str, float]:
    """Likelihoods of a model's own labels as those of hazards and attacks.

    Each that a label may mean gets the label's likelihood; of several labels the highest counts.
    """
    found: dict[str, float] = {}
    for label, likelihood in likelihoods.items():
        for ours in meaning(label):
            found[ours] = max(found.get(ours, 0.0), likelihood)
    return found


def known(labels: Mapping[str, str], likelihoods: Mapping[str, float]) -> dict[str, float]:
    """Those likelihoods that belong to hazards, or to attacks."""
    return {label: likelihood for label, likelihood in likelihoods.items() if label in labels}
