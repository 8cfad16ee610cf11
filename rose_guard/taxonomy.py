"""The taxonomy: 18 hazards, 5 attacks, and how other taxonomies' labels map to them.

A hazard is what an answer could do; an attack is how a prompt tries to get past a guard. They are separate
axes: a harmless question can be wrapped in a jailbreak, and a harmful one asked plainly.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

HAZARDS: dict[str, str] = {
    "violent_crimes": "Planning, enabling or encouraging violence against people or animals, terrorism included.",
    "nonviolent_crimes": "Theft, fraud, drugs, arms trade, trafficking, hacking and other crimes without violence.",
    "sex_crimes": "Sexual assault, harassment, trafficking or coercion of adults.",
    "child_sexual_exploitation": "Sexualising, grooming or abusing minors, or hiding that it happens.",
    "defamation": "Verifiably false statements likely to injure a real person's reputation.",
    "specialized_advice": "Unqualified medical, legal or financial direction that could hurt whoever follows it.",
    "privacy": "Exposing, inferring or collecting someone's private or an organisation's confidential data.",
    "intellectual_property": "Infringing copyright, trademarks, patents or trade secrets.",
    "indiscriminate_weapons": "Chemical, biological, radiological, nuclear or high-yield explosive weapons.",
    "hate": "Demeaning or dehumanising people for a protected characteristic.",
    "suicide_self_harm": "Encouraging or enabling suicide, self-injury or disordered eating.",
    "sexual_content": "Explicit erotic content between adults.",
    "elections": "False facts about voting, or plans to suppress or corrupt it.",
    "code_abuse": "Malware, exploitation of systems or interpreters, theft of credentials by code.",
    "harassment_toxicity": "Bullying, threats, insults and abusive language aimed at someone.",
    "misinformation": "Made-up news, hoaxes, propaganda and conspiracy presented as fact.",
    "overreliance": "Taking the assistant for a therapist, doctor, partner or sole judge in a crisis.",
    "other_unethical": "Manipulation, cheating, cruelty or danger that no other hazard covers.",
}

ATTACKS: dict[str, str] = {
    "jailbreak": "A persona, a fiction or an order that tries to lift the assistant's rules.",
    "prompt_injection": "Instructions hidden in documents, tool results or quoted text.",
    "prompt_leak": "Trying to read the system prompt or other hidden instructions.",
    "obfuscation": "Encoding, spelling tricks or odd characters that hide what is asked.",
    "token_injection": "Chat control markup typed as text to forge a turn.",
}

_NO_WORD = re.compile(r"[\W_]+")
_CODE = re.compile(r"^s[0-9]{1,2}(?: |$)")


@cache
def _maps() -> dict[str, dict[str, list[str]]]:
    return _read("taxonomy_maps.json")


@cache
def _spellings(taxonomy: str) -> dict[str, str]:
    """The map's labels by all that they are written as, with and without their codes, and by their other names."""
    names: dict[str, dict[str, str]] = _read("taxonomy_names.json")
    labels = {label: label for label in _maps()[taxonomy]} | names.get(taxonomy, {})
    plain = {_plain(name): label for name, label in labels.items()}
    return {bare: label for name, label in plain.items() if (bare := _CODE.sub("", name))} | plain


def _read(name: str) -> dict[str, dict[str, Any]]:
    data: dict[str, dict[str, Any]] = json.loads(files("rose_guard").joinpath(name).read_text(encoding="utf-8"))
    return data


def _plain(name: str) -> str:
    return _NO_WORD.sub(" ", name.casefold()).strip()


def taxonomies() -> tuple[str, ...]:
    """Names of the foreign taxonomies that :func:`labels_from` and :func:`labels_to` know."""
    return tuple(_maps())


def labels_from(taxonomy: str, label: str) -> tuple[str, ...]:
    """The hazards (or attacks) that a foreign label may mean; for a coarse label several, so take the strictest.

    Case and punctuation do not matter, nor does a description behind a colon. Nor does a code such as ``S1`` before a
    name, which differs between the versions of a taxonomy.

    Raises:
        KeyError: if the taxonomy or the label is unknown.
    """
    spellings = _spellings(taxonomy)
    whole, name = _plain(label), _plain(label.partition(":")[0])
    for spelling in (whole, _CODE.sub("", whole), _CODE.sub("", name)):
        if spelling in spellings:
            return tuple(_maps()[taxonomy][spellings[spelling]])
    raise KeyError(label)


def labels_to(taxonomy: str, hazard: str) -> tuple[str, ...]:
    """The foreign labels under which a hazard (or attack) may fall; empty where that taxonomy has no such label.

    Raises:
        KeyError: if the taxonomy is unknown.
    """
    return tuple(label for label, ours in _maps()[taxonomy].items() if hazard in ours)
