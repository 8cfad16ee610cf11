"""Model card: what a trained classifier is made of, what it does and where it fails, for those who rely on it."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from typing import TYPE_CHECKING

from rose_guard.risk.corpus import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rose_guard.risk.corpus import Example
    from rose_guard.risk.head import Head
    from rose_guard.risk.language_report import Languages
    from rose_guard.risk.report import Report

LICENCES = {
    "ailuminate_en_dev": "MLCommons AILuminate demo prompts, CC-BY-4.0",
    "catqa_en": "CatQA (declare-lab/red-instruct), Apache-2.0",
    "harmfulqa": "HarmfulQA (declare-lab/red-instruct), Apache-2.0",
    "advbench": "AdvBench, MIT",
    "benign_seed_tasks": "self-instruct seed tasks, Apache-2.0",
    "benign_mt_vicuna": "MT-bench and Vicuna-bench questions, Apache-2.0",
    "truthfulqa": "TruthfulQA, Apache-2.0",
    "do_not_answer": "Do-Not-Answer, Apache-2.0 by its Hugging Face card, CC-BY-NC-SA by another; measured only",
    "alpaca_eval": "AlpacaEval, CC-BY-NC-4.0; measured only",
    PARTS: "two sentences each of the long harmless texts above",
}
_OWN = "written for this project, Apache-2.0"
_STEPS = (
    "## What each step brought",
    "",
    "What more text, tuning and other changes brought is measured in `docs/explanation/classifier.md` of rose_guard.",
    "",
)


def model_card(
    head: Head, examples: Sequence[Example], report: Report, *, tuned: bool, languages: Languages | None = None
) -> str:
    """The card as Markdown.

    Args:
        head: what was trained.
        examples: everything that it was trained and measured on.
        report: what was measured.
        tuned: whether the encoder was tuned in the same run.
        languages: what was measured in other languages, for the multilingual one.
    """
    reads, base = ("English", "all-MiniLM-L6-v2") if languages is None else ("many languages", "multilingual-e5-small")
    return "\n".join(
        [
            f"# Risk classifier {head.version}",
            "",
            "Three linear maps over an encoder: whether answering a text would do harm, which of 18 hazards it is, and",
            f"which of 5 attacks. It reads {reads}. The encoder is",
            f"{head.encoder}: {base}, tuned {'in the same run' if tuned else 'before'}.",
            "Written by `rose-guard train-classifier`; the same texts give the same bytes on the same machine.",
            "",
            *_tuning(tuned=tuned, multilingual=languages is not None),
            "## Texts",
            "",
            *table(("source", "trained on", "measured on", "origin and licence"), _sources(examples)),
            "",
            *_provenance(examples),
            "## What it does",
            "",
            "On texts of the project's own that it was never trained on, with 95 % bootstrap intervals:",
            "",
            f"- harmful against harmless, area under the ROC curve: {report.auroc}",
            f"- expected calibration error at 50 % prevalence: {report.calibration}",
            "",
            *_languages(languages),
            *_look_alikes(report),
            f"Share with a probability of harm of at least {report.threshold}:",
            "",
            *table(
                ("source", "kind", "texts", "trained on", "flagged", "right hazard of 18"),
                source_rows(report),
            ),
            "",
            *_by_label(report),
            *_left_out(report),
            *_STEPS,
            "## Limits",
            "",
            "- English only; other languages pass or are flagged by chance."
            if languages is None
            else "- Languages beyond English and the five above were not measured.",
            "- The look-alikes that it was trained on share their writers' habits; real ones are more varied.",
            "- It reads 126 tokens at a time: what is spread more thinly than that can be missed.",
            "- It scores what is asked, not who asks or why. It is a gate for a policy, not a verdict on a person.",
            "",
        ]
    )


def source_rows(report: Report) -> Iterable[Sequence[str]]:
    """What a head does by source, in words."""
    for s in report.sources:
        named = "" if math.isnan(s.named) else f"{s.named:.3f}"
        yield s.source, s.kind, str(s.examples), "yes" if s.trained_on else "no", str(s.flagged), named


HAZARD_HEADS = ("hazard", "texts", "AUROC", "at 0.5 %", "found", "at 1 %", "found", "named")


def hazard_rows(report: Report) -> Iterable[Sequence[str]]:
    """What a head does by hazard, in words."""
    for h in report.hazards:
        (strict, mild), (few, more) = h.thresholds, h.recall
        found = (f"{strict:.2f}", str(few), f"{mild:.2f}", str(more))
        yield h.hazard, str(h.examples), str(h.auroc), *found, f"{h.named:.2f}"


def training_digest(examples: Iterable[Example]) -> str:
    """SHA-256 of what a head learns from, whatever its order.

    Every example that is not of the split ``test`` is a line of canonical JSON, without blanks, keys in order:
    ``attack``, ``harmful``, ``hazard``, ``source``, ``split``, ``text``. The lines are sorted and joined with newlines.
    """
    keys = ("attack", "harmful", "hazard", "source", "split", "text")
    rows = ({key: getattr(example, key) for key in keys} for example in examples if example.split != "test")
    lines = sorted(json.dumps(row, separators=(",", ":")) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _provenance(examples: Sequence[Example]) -> list[str]:
    learnt = sum(example.split != "test" for example in examples)
    return [
        f"SHA-256 of the {learnt} texts that it was trained and calibrated on, with labels, sources and splits, each",
        "as a line of canonical JSON, sorted (`rose_guard.risk.model_card.training_digest`):",
        f"`{training_digest(examples)}`",
        "",
    ]


def _tuning(*, tuned: bool, multilingual: bool) -> list[str]:
    if not tuned:
        return []
    from rose_guard.risk.tuning import MULTILINGUAL, TuningSettings

    return [f"The encoder was tuned with `{MULTILINGUAL if multilingual else TuningSettings()}`.", ""]


def _sources(examples: Sequence[Example]) -> Iterable[Sequence[str]]:
    counts = Counter((example.source, example.origin, example.split) for example in examples)
    for source, origin in dict.fromkeys((example.source, example.origin) for example in examples):
        whose = {"own": _OWN, "public": LICENCES.get(source, ""), "given": "given for this run"}[origin]
        name = f"{source}, {origin}" if source == PARTS else source
        yield name, str(counts[source, origin, "train"]), str(counts[source, origin, "test"]), whose


def _look_alikes(report: Report) -> list[str]:
    lines = [f"- {source}, area under the ROC curve: {value}" for source, value in report.look_alikes.items()]
    return ["On other sets that hold both kinds and were never trained on:", "", *lines, ""] if lines else []


def _languages(languages: Languages | None) -> list[str]:
    if languages is None:
        return []
    from rose_guard.risk.language_report import HEADS

    return [
        "In other languages, on pairs written for this project; the last three columns at the threshold",
        f"{languages.threshold:.2f}, where 5 % of held-out ordinary English prompts score as high:",
        "",
        *table(HEADS, (language.row() for language in languages.reports)),
        "",
    ]


def _by_label(report: Report) -> list[str]:
    return [
        "By hazard, on held-out texts, with the thresholds at which 0.5 % and 1 % of held-out harmless texts score",
        "as high, and the share of harmful ones found there:",
        "",
        *table(HAZARD_HEADS, hazard_rows(report)),
        "",
        "These thresholds hold for each text's first window alone. The whole classifier reads every view, window",
        "and sentence and scores higher; `rose-guard classifier-thresholds` prints those that a policy can have.",
        "",
        "By attack, on held-out texts:",
        "",
        *table(("attack", "AUROC"), ((attack, str(area)) for attack, area in report.attacks.items())),
        "",
    ]


def _left_out(report: Report) -> list[str]:
    if not report.left_out:
        return []
    mean = sum(report.left_out.values()) / len(report.left_out)
    return [
        "Leaving out one harmful and one harmless public set, training the head on the rest and measuring on the two,",
        f"area under the ROC curve (mean {mean:.3f}):",
        "",
        *table(
            ("harmful set", "harmless set", "AUROC"),
            ((bad, good, f"{value:.3f}") for (bad, good), value in report.left_out.items()),
        ),
        "",
    ]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *(f"| {' | '.join(row)} |" for row in rows)]
