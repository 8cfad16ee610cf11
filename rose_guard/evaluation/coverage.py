"""Coverage: what a run was to record, and what of it is on record. What is absent is listed, so that it is counted."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rose_guard.errors import InputError
from rose_guard.evaluation.instruction import instruction_of
from rose_guard.evaluation.measurement import ALL, SCOPES, Scope
from rose_guard.evaluation.record import Record
from rose_guard.evaluation.task import part_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rose_guard.evaluation.example import Example
    from rose_guard.evaluation.task import Part

    Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The examples of a part of a run, under each of its arms.

    Args:
        arms: in the order of the run.
        records: that there are.
        absent: a blank record for each example that an arm has none of, be it not run yet or beyond the arm. It tells
            which figures are due, and nothing else.
        examples: by task and id, as far as they are known.
    """

    arms: tuple[str, ...]
    records: tuple[Record, ...] = field(repr=False)
    absent: tuple[Record, ...] = field(repr=False)
    examples: Mapping[Key, Example] = field(repr=False)

    @classmethod
    def of(
        cls, records: Sequence[Record], examples: Mapping[Key, Example], arms: Sequence[str], part: Part | None
    ) -> Coverage:
        """Every example that is given or on record, under every arm that is given or on record.

        Raises:
            InputError: if nothing is on record, or the same arm answered the same example twice.
        """
        kept = tuple(record for record in records if _is_of(part, record.example))
        _check(kept, part)
        everything = tuple(dict.fromkeys([*arms, *(record.arm for record in kept)]))
        done = {record.key for record in kept}
        blanks = _blanks(kept, {key: each for key, each in examples.items() if _is_of(part, each.id)})
        due = (blank.model_copy(update={"arm": arm}) for blank in blanks for arm in everything)
        return cls(everything, kept, tuple(blank for blank in due if blank.key not in done), examples)

    def scopes(self) -> dict[Scope, set[Key]]:
        """Examples by each scope that has any, those without a record among them."""
        found: defaultdict[Scope, set[Key]] = defaultdict(set)
        for record in (*self.records, *self.absent):
            for scope in _scopes_of(record):
                found[scope].add((record.task, record.example))
        return dict(sorted(found.items(), key=lambda item: (SCOPES.index(item[0].kind), item[0].name)))


def _is_of(part: Part | None, example_id: str) -> bool:
    return part in (None, part_of(example_id))


def _check(records: Sequence[Record], part: Part | None) -> None:
    if not records:
        raise InputError(f"no record is of the part {part or 'all'!r}; run more examples, or summarise another part")
    if len({record.key for record in records}) < len(records):
        raise InputError("an arm answered the same example twice; give the records of one run")


def _blanks(records: Sequence[Record], examples: Mapping[Key, Example]) -> Iterable[Record]:
    """A blank record of each example, under no arm."""
    scored = any(r.safe_logprobs or r.unsafe_logprobs or r.plain_logprob is not None for r in records)
    blanks: dict[Key, Record] = {}
    for key, example in examples.items():
        blank = _blank(key, example, instructed=instruction_of(example) is not None)
        blanks[key] = _with_places(blank, example) if scored else blank
    for record in records:
        key = record.task, record.example
        blanks.setdefault(key, _blank(key, record, instructed=record.instructed))
    return blanks.values()


def _blank(key: Key, like: Example | Record, *, instructed: bool) -> Record:
    """What is known of a record before there is one, from the example or from a record of it under another arm."""
    told = {"kind": like.kind, "hazard": like.hazard, "label": like.label}
    return Record(task=key[0], arm="", example=key[1], instructed=instructed, **told)


def _with_places(blank: Record, example: Example) -> Record:
    """With a place for each likelihood that a run with a scorer can have: it should be told, so it can be missing."""
    return blank.model_copy(
        update={
            "safe_logprobs": (0.0,) * len(example.safe),
            "unsafe_logprobs": (0.0,) * len(example.unsafe),
            "plain_logprob": None if example.kind == "choice" else 0.0,
        }
    )


def _scopes_of(record: Record) -> list[Scope]:
    scopes = [ALL, Scope("task", record.task), Scope("kind", record.kind)]
    return scopes if record.hazard is None else [*scopes, Scope("hazard", record.hazard)]
