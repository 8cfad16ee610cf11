"""Qwen3Guard: the generative Qwen3Guard models, which name a severity and then categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rose_guard.risk.guard_models.adapter import GuardAdapter, Verdict, known, translated
from rose_guard.risk.guard_models.label_likelihood import Answer
from rose_guard.taxonomy import ATTACKS, HAZARDS, labels_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rose_guard.risk.guard_models.label_likelihood import LabelLikelihood

SEVERITIES = ("Safe", "Unsafe", "Controversial")
CATEGORIES = (
    "Violent",
    "Non-violent Illegal Acts",
    "Sexual Content or Sexual Acts",
    "PII",
    "Suicide & Self-Harm",
    "Unethical Acts",
    "Politically Sensitive Topics",
    "Copyright Violation",
    "Jailbreak",
)


class Qwen3Guard(GuardAdapter):
    """Reads the severity from ``Safety:``, and the categories that would follow the likelier harmful one.

    The probability of harm is P(Unsafe) + P(Controversial): what is harmful in some settings counts as harmful, and a
    policy's thresholds say how sure it must be. The category Jailbreak may mean any attack, so each attack gets its
    score, in proportion to the likeliest category; it is never a hazard. Code abuse counts under illegal acts, and
    the model knows nothing of specialised advice and overreliance: they score 0.

    Qwen3Guard-Stream has another head and is not supported.

    Source: https://github.com/QwenLM/Qwen3Guard
    """

    name = "qwen3guard"
    pattern = r"qwen3guard-gen|qwen3guard-[^-]+-gen"
    together = True

    @property
    def known_labels(self) -> frozenset[str]:
        """As the base class says."""
        return frozenset(ours for category in CATEGORIES for ours in labels_from("qwen3guard", category))

    def verdict(self, ask: Callable[[Mapping[str, Any]], LabelLikelihood]) -> Verdict:
        """As the base class says."""
        likelihood = ask({})
        severity = likelihood.probabilities({label: [Answer(f"Safety: {label}\n")] for label in SEVERITIES})
        harmful = 1.0 - severity["Safe"]
        likelier = max(("Unsafe", "Controversial"), key=lambda label: severity[label])
        lead = f"Safety: {likelier}\nCategories: "
        categories = likelihood.listed(lead, CATEGORIES, separator=", ")
        ours = translated(categories, lambda category: labels_from("qwen3guard", category))
        most = max(categories.values())
        attacks = {attack: harmful * share / most for attack, share in known(ATTACKS, ours).items()}
        return Verdict(harmful, known(HAZARDS, ours), attacks)
