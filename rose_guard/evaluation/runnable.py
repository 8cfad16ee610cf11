"""An arm as a LangChain runnable, so that whatever runs chains can compare arms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.runnables import Runnable, RunnableLambda

from rose_guard.decoding.settings import RoseSettings
from rose_guard.errors import InputError, PolicyViolation
from rose_guard.evaluation.arm_model import ArmModel
from rose_guard.guard import Answer, GenerationOptions
from rose_guard.langchain.answers import message_of
from rose_guard.langchain.loading import answer_classifier_for, classifier_for
from rose_guard.langchain.messages import from_langchain
from rose_guard.langchain.metadata import rose_metadata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import AIMessage, BaseMessage

    from rose_guard.engines.engine import Engine
    from rose_guard.evaluation.arm import Arm
    from rose_guard.risk.answer_classifier import AnswerClassifier
    from rose_guard.risk.classifier import RiskClassifier


def arm_runnable(
    arm: Arm,
    engine: Engine,
    *,
    options: GenerationOptions | None = None,
    classifier: RiskClassifier | None = None,
    answer_classifier: AnswerClassifier | None = None,
) -> Runnable[Sequence[BaseMessage], AIMessage]:
    """An arm on an engine, from messages to the answer's message; a batch of it is decoded together.

    Args:
        arm: how to decode.
        engine: what decodes.
        options: how tokens are chosen, and how many; greedy unless given.
        classifier: what scores; the one that the arm's policy names unless given.
        answer_classifier: what scores answers; the shipped one where the policy checks them unless given.

    Raises (when invoked):
        PolicyViolation: if the arm's policy blocks the conversation.
        InputError: if it cannot be answered.
    """
    policy = arm.policy()
    model = ArmModel(
        arm,
        engine,
        options or GenerationOptions(RoseSettings(temperature=0.0)),
        classifier=classifier_for(policy, classifier),
        answer_classifier=answer_classifier_for(policy, answer_classifier),
    )

    def answer(messages: Sequence[BaseMessage]) -> AIMessage:
        (outcome,) = model.answers([from_langchain(messages)])
        if isinstance(outcome, InputError):
            raise outcome
        if not isinstance(outcome, Answer):
            raise PolicyViolation(outcome.reason, outcome.decision_id)
        rose = rose_metadata(outcome.decision, outcome.last, debug=False)
        metadata = {"model_name": engine.model_id, "finish_reason": outcome.last.delta.finish_reason, "rose": rose}
        return message_of(outcome, {**metadata, "arm": arm.name})

    return RunnableLambda(answer, name=arm.name)
