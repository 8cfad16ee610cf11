"""What other models' classifiers say that they know is what their labels mean."""

import pytest

from rose_guard.risk.classifier import known_labels
from rose_guard.risk.guard_models import (
    GraniteGuardian,
    GuardModel,
    LlamaGuard,
    Qwen3Guard,
    ShieldGemma,
    WildGuard,
)
from rose_guard.taxonomy import ATTACKS, HAZARDS
from tests.risk.test_sequence_classifier import TOXIC, classifier

ADAPTERS = [
    LlamaGuard(),
    Qwen3Guard(),
    ShieldGemma(),
    GraniteGuardian(),
    WildGuard("{prompt}"),
    WildGuard("{prompt}", hazards=["hate", "privacy"]),
]


class EvenLikelihood:
    """Finds every answer as likely as the others."""

    follows_newline = True

    def probabilities(self, answers):
        return dict.fromkeys(answers, 1 / len(answers))

    def listed(self, lead, labels, separator):
        return dict.fromkeys(labels, 0.5)


def of(adapter):
    """A guard model without a model: what it knows comes from its adapter."""
    guard = object.__new__(GuardModel)
    guard.adapter = adapter
    return guard


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
def test_a_guard_model_knows_what_its_verdict_can_name(adapter):
    verdict = adapter.verdict(lambda _: EvenLikelihood())
    assert known_labels(of(adapter)) == {*verdict.hazards, *verdict.attacks}
    unknown = {*HAZARDS, *ATTACKS} - known_labels(of(adapter))
    assert not any(verdict.scores()[label] for label in unknown)


def test_a_sequence_classifier_knows_what_its_map_names():
    one = classifier()
    assert known_labels(one) == {"harassment_toxicity", "hate", "jailbreak"}
    assert known_labels(one) == {label for meant in TOXIC["labels"].values() for label in meant}
