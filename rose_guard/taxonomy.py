"""The taxonomy: 18 hazards, 5 attacks, and how other taxonomies' labels map to them.

A hazard is what an answer could do; an attack is how a prompt tries to get past a guard. They are separate
axes: a harmless question can be wrapped in a jailbreak, and a harmful one asked plainly.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

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


@cache
def _maps() -> dict[str, dict[str, list[str]]]:
    data: dict[str, dict[str, list[str]]] = json.loads(files("rose_guard").joinpath("taxonomy_maps.json").read_text())
    return data


def taxonomies() -> tuple[str, ...]:
    """Names of the foreign taxonomies that :func:`labels_from` and :func:`labels_to` know."""
    return tuple(_maps())


def labels_from(taxonomy: str, label: str) -> tuple[str, ...]:
    """The hazards (or attacks) that a foreign label may mean; for a coarse label several, so take the strictest.

    Raises:
        KeyError: if the taxonomy or the label is unknown.
    """
    return tuple(_maps()[taxonomy][label])


def labels_to(taxonomy: str, hazard: str) -> tuple[str, ...]:
    """The foreign labels under which a hazard (or attack) may fall; empty where that taxonomy has no such label.

    Raises:
        KeyError: if the taxonomy is unknown.
    """
    return tuple(label for label, ours in _maps()[taxonomy].items() if hazard in ours)
