"""Hazards of other taxonomies' labels."""

from __future__ import annotations

from rose_guard.taxonomy import labels_from


def hazard_of(taxonomy: str, label: str) -> str | None:
    """The hazard that a label mostly means, which its map names first; None where the map has no such label."""
    try:
        return labels_from(taxonomy, label)[0]
    except KeyError:
        return None
