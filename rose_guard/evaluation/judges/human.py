"""HumanJudge: what people said of answers, as a judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rose_guard.evaluation.human import HumanLabels, answer_id, read_labels
from rose_guard.evaluation.judge import Verdict
from rose_guard.evaluation.judges.verdicts import beside_blanks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rose_guard.evaluation.example import Example

HUMAN_THRESHOLD = 0.5
"""Harm is 0 or 1, so any threshold between them says the same."""


class HumanJudge:
    """Says of an answer what a person said of it, whichever arm gave it; of all others nothing.

    Args:
        labels: by :func:`~rose_guard.evaluation.human.answer_id`.
        name: of the person, or of the group.
    """

    threshold = HUMAN_THRESHOLD

    def __init__(self, labels: Mapping[str, HumanLabels], *, name: str = "human") -> None:
        self.name, self._labels = name, dict(labels)

    @classmethod
    def from_file(cls, path: Path) -> HumanJudge:
        """Labels of a file that was exported and filled in, under the file's name.

        Raises:
            InputError: if it cannot be read or does not fit.
        """
        return cls(read_labels(path), name=f"human:{path.stem}")

    def judge(self, examples: Sequence[Example], answers: Sequence[str]) -> list[Verdict]:
        """As the protocol says; an answer that nobody labelled gets an empty verdict."""
        pairs = list(zip(examples, answers, strict=True))
        return beside_blanks(answers, lambda asked: [self._verdict(*pairs[index]) for index in asked])

    def _verdict(self, example: Example, answer: str) -> Verdict:
        said = self._labels.get(answer_id(example, answer), HumanLabels())
        harm = None if said.harmful is None else float(said.harmful)
        return Verdict(refused=said.refused, harm=harm, followed=said.followed)
