"""Rule: one of a deployment's own terms, what it stands for and how much; and every mistake one can hold."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from rose_guard.errors import SettingsError
from rose_guard.risk.term import Pattern, Phrase
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rose_guard.risk.haystack import Haystack
    from rose_guard.risk.term import Place

KEYS = ("name", "hazard", "attack", "score", "patterns", "keywords", "except")
MOST_EXCUSED = 1000

Mistake = tuple[tuple["str | int", ...], str]
"""Keys and indices that lead to it, and what is wrong, in words."""


@dataclass(frozen=True)
class Rule:
    """Where one of its terms is found, its hazard or attack has its score.

    Args:
        name: its own among a deployment's rules.
        hazard: what it stands for; either this or ``attack``.
        attack: likewise.
        score: above 0, at most 1.
        patterns: regular expressions of RE2, read as they are written: give ``(?i)`` for any case.
        keywords: whole words, in any case, any Unicode form and with any white space between them.
        exceptions: phrases, as keywords; a match that lies inside one does not count. One that reaches beyond it does,
            and so does a pattern's match after a thousand that lay inside, so that time stays linear. In a file the
            key is ``except``.

    Raises:
        SettingsError: naming every mistake.
        ModelLoadError: if it has patterns and google-re2 is missing.
    """

    name: str
    hazard: str | None = None
    attack: str | None = None
    score: float = 1.0
    patterns: Sequence[str] = ()
    keywords: Sequence[str] = ()
    exceptions: Sequence[str] = ()

    def __post_init__(self) -> None:
        given = {key: value for key, value in self.entry.items() if value is not None}
        if wrong := [message for _, message in mistakes(given)]:
            raise SettingsError("\n".join(f"rule {self.name!r}: {message}" for message in wrong))
        for field in ("patterns", "keywords", "exceptions"):
            object.__setattr__(self, field, tuple(getattr(self, field)))

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Rule:
        """From a file's keys; errors as the constructor's."""
        return cls(**{"exceptions" if key == "except" else key: value for key, value in entry.items()})

    @property
    def entry(self) -> dict[str, Any]:
        """Its values by a file's keys."""
        fields = ("name", "hazard", "attack", "score", "patterns", "keywords", "exceptions")
        return dict(zip(KEYS, (getattr(self, field) for field in fields), strict=True))

    @property
    def label(self) -> str:
        """Its hazard or attack."""
        label = self.hazard or self.attack
        assert label is not None
        return label

    def find(self, haystack: Haystack) -> Place | None:
        """A place that counts, keywords before patterns, each from the front; None where there is none."""
        excused = _Excused(haystack, self._exceptions)
        for phrase in self._keywords:
            for place in phrase.places(haystack):
                if not excused.hold(place):
                    return place
        for pattern in self._patterns:
            for tried, place in enumerate(pattern.places(haystack)):
                if tried == MOST_EXCUSED or not excused.hold(place):
                    return place
        return None

    @cached_property
    def _keywords(self) -> list[Phrase]:
        return [Phrase(text) for text in self.keywords]

    @cached_property
    def _exceptions(self) -> list[Phrase]:
        return [Phrase(text) for text in self.exceptions]

    @cached_property
    def _patterns(self) -> list[Pattern]:
        """With exceptions the longest matches, so that none that reaches beyond an exception hides in a shorter one."""
        return [Pattern(text, longest=bool(self.exceptions)) for text in self.patterns]


class _Excused:
    """The places of a rule's exceptions in a text, looked up when there is a match to excuse."""

    def __init__(self, haystack: Haystack, exceptions: Sequence[Phrase]) -> None:
        self._haystack = haystack
        self._exceptions = exceptions

    def hold(self, place: Place) -> bool:
        """Whether one exception holds all of a match."""
        starts, reach = self._found
        earlier = bisect_right(starts, place[0])
        return earlier > 0 and reach[earlier - 1] >= place[1]

    @cached_property
    def _found(self) -> tuple[list[int], list[int]]:
        """Where exceptions start, in order, and how far those up to each one reach."""
        places = sorted(place for phrase in self._exceptions for place in phrase.places(self._haystack))
        return [start for start, _ in places], list(accumulate((end for _, end in places), max))


def mistakes(entry: Mapping[str, Any]) -> Iterator[Mistake]:
    """Everything that is wrong with a rule as a file gives it.

    Raises:
        ModelLoadError: if it has patterns and google-re2 is missing.
    """
    for key, value in entry.items():
        if key not in KEYS:
            yield (key,), f"unknown key {key!r}{did_you_mean(key, KEYS)}"
        elif value is None:
            yield (key,), f"`{key}` has no value; give one or leave the key out"
    given = {key: value for key, value in entry.items() if value is not None}
    yield from _name_mistakes(given)
    yield from _label_mistakes(given)
    yield from _score_mistakes(given.get("score", 1.0))
    if not given.get("keywords") and not given.get("patterns"):
        yield (), "has nothing to look for; give `keywords` or `patterns`"
    yield from _term_mistakes("patterns", given.get("patterns", ()), Pattern)
    yield from _term_mistakes("keywords", given.get("keywords", ()), Phrase)
    yield from _term_mistakes("except", given.get("except", ()), Phrase)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """What was probably meant, or else what there is, ready to follow ``unknown …``."""
    known = list(known)
    close = get_close_matches(str(name), known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"


def _name_mistakes(given: Mapping[str, Any]) -> Iterator[Mistake]:
    if "name" not in given:
        yield (), "`name` is missing; every rule has its own"
    elif not isinstance(given["name"], str) or not given["name"].strip():
        yield ("name",), "a rule's name is a text; put it in quotes"


def _label_mistakes(given: Mapping[str, Any]) -> Iterator[Mistake]:
    axes = {"hazard": HAZARDS, "attack": ATTACKS}
    named = [axis for axis in axes if axis in given]
    if len(named) != 1:
        yield tuple(named[1:]), "names exactly one `hazard` or `attack`; give the one that it stands for"
    for axis, other in (("hazard", "attack"), ("attack", "hazard")):
        label = given.get(axis)
        if label is None or (isinstance(label, str) and label in axes[axis]):
            continue
        if isinstance(label, str) and label in axes[other]:
            yield (axis,), f"unknown {axis} {label!r}; it is an {other}, write `{other}: {label}`"
        else:
            yield (axis,), f"unknown {axis} {label!r}{did_you_mean(label, axes[axis])}"


def _score_mistakes(score: Any) -> Iterator[Mistake]:
    number = isinstance(score, int | float) and not isinstance(score, bool)
    if not number or not 0.0 < score <= 1.0:
        yield ("score",), "`score` is a number above 0 and at most 1" + (f", not {score!r}" if number else "")


def _term_mistakes(key: str, texts: object, kind: type[Pattern | Phrase]) -> Iterator[Mistake]:
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        yield (key,), f"`{key}` is a list of texts; put them in brackets"
        return
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            yield (key, index), f"item {index + 1} of `{key}` is no text; put it in quotes"
            continue
        try:
            kind(text)
        except SettingsError as error:
            yield (key, index), f"item {index + 1} of `{key}` {error}"
