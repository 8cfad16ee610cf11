"""References: ids of prompts and messages that a policy names, and whether it has them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rose_guard.policy.checks import all_rules
from rose_guard.policy.complaint import Complaint
from rose_guard.policy.schema import TEXT_GROUPS
from rose_guard.policy.spelling import did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rose_guard.policy.complaint import Path_
    from rose_guard.policy.output_check import OutputCheck
    from rose_guard.policy.parts import PolicyParts
    from rose_guard.policy.rule import Band


def unknown_in_file(root: Mapping[str, object], parts: PolicyParts) -> list[Complaint]:
    """References of a file, where they are written, to what neither it nor the shipped policy has."""
    rules = {key: value for key, value in root.items() if key not in TEXT_GROUPS}
    return list(_unknown(_mappings(rules, ()), parts))


def unknown_in_parts(parts: PolicyParts) -> list[Complaint]:
    """References of a policy's settled parts to what it has not."""
    places: list[tuple[Path_, Band | OutputCheck]] = [
        ((*path, "bands", i), band) for path, _, rule in all_rules(parts) for i, band in enumerate(rule.bands)
    ]
    places.append((("output",), parts.output))
    if parts.ungated is not None:
        places.append((("ungated",), parts.ungated))
    return list(_unknown(((path, asdict(value)) for path, value in places), parts))


def _mappings(node: object, path: Path_) -> Iterator[tuple[Path_, Mapping[str, object]]]:
    if isinstance(node, dict):
        yield path, node
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for part, value in items:
        yield from _mappings(value, (*path, part))


def _unknown(places: Iterable[tuple[Path_, Mapping[str, object]]], parts: PolicyParts) -> Iterator[Complaint]:
    known: dict[str, Mapping[str, object]] = {
        "safe_prompt": parts.safe_prompts,
        "reverse_prompt": parts.reverse_prompts,
        "message": parts.messages,
    }
    for path, entry in places:
        for key, texts in known.items():
            name = entry.get(key)
            if isinstance(name, str) and name not in texts:
                what = key.replace("_", " ")
                yield Complaint((*path, key), f"unknown {what} {shown(name)}{did_you_mean(name, texts)}")
