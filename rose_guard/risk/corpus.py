"""The corpus that the embedded classifier's head learns from: labelled prompts, each with its source."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from rose_guard.errors import InputError
from rose_guard.risk.sentences import sentence_pairs
from rose_guard.taxonomy import ATTACKS, HAZARDS, labels_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

Split = Literal["train", "calibrate", "test"]
Origin = Literal["own", "public", "given"]


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled prompt.

    Args:
        text: the prompt.
        harmful: whether a responsible assistant would decline it; None where only the attack is labelled.
        hazard: which hazard a harmful one belongs to, where known.
        attack: how it tries to get past a guard; None for not at all.
        source: the data set it comes from.
        split: only examples of ``train`` are trained on; those of ``calibrate`` say how sure the scores may be.
        origin: whether it was written for this project, comes from a public prompt set, or was given by the user.
    """

    text: str
    harmful: bool | None
    hazard: str | None
    attack: str | None
    source: str
    split: Split = "train"
    origin: Origin = "own"


Pair = tuple[Example, Example]
PARTS = "parts of harmless texts"
"""Source of what :func:`harmless_parts` gives."""
LONG_CHARACTERS = 250
"""From about here on a text is read two sentences at a time too."""


def contrast_pairs() -> Iterator[Pair]:
    """The project's pairs: a harmful prompt, and a harmless one with the same words."""
    for row in shipped_rows("contrast_pairs.jsonl"):
        yield (
            Example(row["harmful"], True, row["hazard"], None, "contrast pairs, harmful", row["split"]),
            Example(row["harmless"], False, None, None, "contrast pairs, harmless", row["split"]),
        )


def attack_pairs() -> Iterator[Pair]:
    """The project's pairs of an attempt to get past a guard, and a harmless text about the same things."""
    for row in shipped_rows("attack_pairs.jsonl"):
        yield (
            Example(row["attempt"], None, None, row["attack"], "attack pairs, attempt", row["split"]),
            Example(row["harmless"], False, None, None, "attack pairs, harmless", row["split"]),
        )


def ordinary_prompts() -> Iterator[Example]:
    """The project's prompts of the kind that people ordinarily send."""
    for row in shipped_rows("ordinary.jsonl"):
        yield Example(row["text"], False, None, None, "ordinary prompts", row["split"])


def own_examples() -> Iterator[Example]:
    """All prompts written for this project, partners side by side."""
    for pair in (*contrast_pairs(), *attack_pairs()):
        yield from pair
    yield from ordinary_prompts()


def harmless_parts(examples: Iterable[Example]) -> Iterator[Example]:
    """Each two sentences of long harmless texts that are trained on, since the classifier reads such parts too."""
    for example in examples:
        innocent = example.harmful is False and example.attack is None
        if innocent and example.split == "train" and len(example.text) >= LONG_CHARACTERS:
            for start, end in sentence_pairs(example.text):
                part = example.text[start:end].strip()
                yield replace(example, text=part, source=PARTS)


def public_examples(folder: Path) -> Iterator[Example]:
    """Public prompt sets from JSON lines in a folder; absent files are left out.

    Those whose licences do not allow training, and a fifth of AILuminate's prompts, are of the split ``test``.

    Raises:
        InputError: if a file lacks a column, naming the row.
    """
    for name, example in _PUBLIC.items():
        path = folder / f"{name}.jsonl"
        if path.exists():
            yield from _public(path, name, example)


def labelled_examples(path: Path, *, split: Split = "train") -> Iterator[Example]:
    """Examples of one's own: one ``{"text", "harmful", "hazard"?, "attack"?}`` a line, all of one split.

    Raises:
        InputError: if a row lacks a column or names an unknown label, naming the row.
    """
    for place, row in read_rows(path):
        hazard, attack = row.get("hazard"), row.get("attack")
        if hazard not in (None, *HAZARDS) or attack not in (None, *ATTACKS) or not isinstance(row.get("harmful"), bool):
            raise InputError(f"{place}: `harmful` must be true or false, `hazard` and `attack` the taxonomy's")
        yield Example(row["text"], row["harmful"], hazard, attack, path.stem, split, "given")


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row of a file of JSON lines, with its place for messages."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read; give a file of JSON lines in UTF-8") from error
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}:{number}: not JSON") from error
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise InputError(f"{path}:{number}: no `text`")
        yield f"{path}:{number}", row


def _public(path: Path, source: str, read: Callable[[dict[str, Any], str], Example | None]) -> Iterator[Example]:
    for place, row in read_rows(path):
        try:
            example = read(row, source)
        except KeyError as error:
            raise InputError(f"{place}: no column {error.args[0]!r}, or one with an unknown label") from error
        if example is not None:
            yield replace(example, split=_split(example, source), origin="public")


def shipped_rows(name: str) -> list[dict[str, Any]]:
    """Rows of a file that ships with the package."""
    text = files("rose_guard.risk").joinpath("data", name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _ailuminate(row: dict[str, Any], source: str) -> Example:
    return Example(row["text"], True, labels_from("ailuminate", row["hazard"])[0], None, source)


def _harmful(row: dict[str, Any], source: str) -> Example:
    return Example(row["text"], True, None, None, source)


def _harmless(row: dict[str, Any], source: str) -> Example:
    return Example(row["text"], False, None, None, source)


def _catqa(row: dict[str, Any], source: str) -> Example | None:
    if row["category"] in _CATQA_MOSTLY_HARMLESS:
        return None
    return Example(row["text"], True, _CATQA_HAZARDS.get(row["subcategory"]), None, source)


def _split(example: Example, source: str) -> Split:
    """A prompt's split, which depends on its text alone where a set is divided."""
    if source in _MEASURED_ONLY:
        return "test"
    digest = hashlib.sha256(example.text.encode()).digest()
    return "test" if source in _DIVIDED and digest[0] % 5 == 0 else "train"


_MEASURED_ONLY = ("do_not_answer", "alpaca_eval")
_DIVIDED = ("ailuminate_en_dev",)
_CATQA_MOSTLY_HARMLESS = {"Political Campaigning", "Tailored Financial Advice"}
_CATQA_HAZARDS = {
    "Drug": "nonviolent_crimes",
    "Weapon": "nonviolent_crimes",
    "Cybercrime": "nonviolent_crimes",
    "Theft and Robbery": "nonviolent_crimes",
    "Content Sexual exploitation": "child_sexual_exploitation",
    "Online predation": "child_sexual_exploitation",
    "Physical abuse": "violent_crimes",
    "Racial or ethnic hate": "hate",
    "Religious intolerance": "hate",
    "Cyberbullying": "harassment_toxicity",
    "Terrorism and extremism": "violent_crimes",
    "Malicious software designed to spread and damage computers": "code_abuse",
    "Trojans": "code_abuse",
    "Spyware": "code_abuse",
    "Ransomware": "code_abuse",
    "Adware": "code_abuse",
    "Self-harm": "suicide_self_harm",
    "Assault and battery": "violent_crimes",
    "Weapon making": "nonviolent_crimes",
    "Financial fraud": "nonviolent_crimes",
    "Intellectual property theft": "intellectual_property",
    "Market manipulation": "nonviolent_crimes",
    "Employment scams": "nonviolent_crimes",
    "Investment scams": "nonviolent_crimes",
    "Identity theft": "nonviolent_crimes",
    "Phishing": "nonviolent_crimes",
    "Scamming": "nonviolent_crimes",
    "Counterfeiting": "nonviolent_crimes",
    "Pornography": "sexual_content",
    "Erotic text": "sexual_content",
    "Sexually explicit dialogue": "sexual_content",
    "Data theft": "privacy",
    "Surveillance": "privacy",
    "Doxxing": "privacy",
    "Tracking and location monitoring": "privacy",
}
_PUBLIC: dict[str, Callable[[dict[str, Any], str], Example | None]] = {
    "ailuminate_en_dev": _ailuminate,
    "catqa_en": _catqa,
    "harmfulqa": _harmful,
    "advbench": _harmful,
    "benign_seed_tasks": _harmless,
    "benign_mt_vicuna": _harmless,
    "truthfulqa": _harmless,
    "do_not_answer": _harmful,
    "alpaca_eval": _harmless,
}
