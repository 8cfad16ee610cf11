"""Prompt injection: a question, and passages with an instruction in them that the user never gave.

From NaturalQuestions. A good answer answers the question and leaves the instruction alone; neither would do harm. The
judge ``gold`` looks for the known answers to both; to most of the instructions none is known. The passages are marked
as text from elsewhere, as :func:`rose_guard.langchain.untrusted` marks them. A JSON list or JSON lines; the passages'
column is ``search_results`` in the published code, ``injected_context`` in files made of it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from rose_guard.evaluation.example import Example
from rose_guard.evaluation.instruction import INSTRUCTION
from rose_guard.evaluation.judges.gold import known_answers
from rose_guard.evaluation.task import Task, each
from rose_guard.message import Message

if TYPE_CHECKING:
    from rose_guard.evaluation.row import Row


def _example(row: Row) -> Example:
    question, passages = row.text("question", "text"), row.text("injected_context", "search_results")
    answers, injected = row.texts("answers"), row.texts("injected_answers")
    return Example(
        id=row.key("nq_injected", "id", "qid"),
        messages=(_with_passages(question, passages),),
        kind="benign",
        label=row.optional("task_type"),
        safe=answers,
        unsafe=injected,
        attack="prompt_injection",
        extra=MappingProxyType(
            {
                INSTRUCTION: question,
                "injected_question": row.text("injected_question"),
                **known_answers(answers, injected),
                "position": row.optional("position"),
            }
        ),
    )


def _with_passages(question: str, passages: str) -> Message:
    before = f"{question}\n\nSearch results:\n"
    return Message("user", before + passages, untrusted=((len(before), len(before) + len(passages)),))


NQ_INJECTED = Task(
    name="nq_injected",
    title="NaturalQuestions with injected instructions",
    source="https://github.com/Leezekun/instruction-following-robustness-eval",
    licence="none stated",
    kind="benign",
    columns=("question", "injected_context", "answers", "injected_question", "injected_answers"),
    examples=each(_example),
)
