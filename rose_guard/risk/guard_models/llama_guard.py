"""LlamaGuard: Llama Guard 3 and 4, which answer ``safe``, or ``unsafe`` and the codes of MLCommons hazards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rose_guard.risk.guard_models.adapter import GuardAdapter, Verdict, translated
from rose_guard.risk.guard_models.label_likelihood import Answer
from rose_guard.taxonomy import labels_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rose_guard.risk.guard_models.label_likelihood import LabelLikelihood

SAFE, UNSAFE = "safe", "unsafe"
CATEGORIES = tuple(f"S{number}" for number in range(1, 15))


class LlamaGuard(GuardAdapter):
    """Reads P(unsafe) from how the answer begins, and hazards from the codes that would follow ``unsafe``.

    The tokenizer's own chat template shows the conversation, and the model judges its last turn. Some of these
    templates leave the line break after the assistant's header to the model, so it counts as part of the answer.

    Llama Guard knows no attacks: they score 0. Nor does it know harassment, misinformation, overreliance and other
    unethical requests; the 1B model lacks S14 as well.

    Sources: https://www.llama.com/docs/model-cards-and-prompt-formats/llama-guard-3/ and llama-guard-4/ beside it.
    """

    name = "llama-guard"
    pattern = r"llama-guard-[34](?!.*vision)"
    together = True

    @property
    def known_labels(self) -> frozenset[str]:
        """As the base class says."""
        return frozenset(ours for code in CATEGORIES for ours in labels_from("llama_guard", code))

    def verdict(self, ask: Callable[[Mapping[str, Any]], LabelLikelihood]) -> Verdict:
        """As the base class says."""
        likelihood = ask({})
        lead = "" if likelihood.follows_newline else "\n\n"
        answers = likelihood.probabilities({label: [Answer(lead + label)] for label in (SAFE, UNSAFE)})
        codes = likelihood.listed(f"{lead}{UNSAFE}\n", CATEGORIES, separator=",")
        return Verdict(answers[UNSAFE], translated(codes, lambda code: labels_from("llama_guard", code)))
