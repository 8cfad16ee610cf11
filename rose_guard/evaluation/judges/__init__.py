"""Judges: what says whether an answer refuses, does harm, or does what was asked. Importing this loads no model."""

from rose_guard.evaluation.judges.labelled import LabelledAnswer, read_labelled
from rose_guard.evaluation.judges.registry import JUDGES, named_judge
from rose_guard.evaluation.judges.verdicts import is_harmful, judged

__all__ = ["JUDGES", "LabelledAnswer", "is_harmful", "judged", "named_judge", "read_labelled"]
