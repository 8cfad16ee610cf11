"""ArmModel: an arm on an engine. Conversations in, answers out, many at once; decides by the arm, or lets the guard."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, TypeAlias

from rose_guard.engines.worker import worker
from rose_guard.errors import ClassifierError, InputError, PolicyViolation
from rose_guard.evaluation.guidance import guided
from rose_guard.guard import Answer, Guard, Piece
from rose_guard.memory.in_memory import InMemoryConversations
from rose_guard.policy.decision import Decision
from rose_guard.risk.classifier import Classifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rose_guard.assessment import RiskAssessment
    from rose_guard.engines.engine import Engine, GenerationRequest
    from rose_guard.evaluation.arm import Arm
    from rose_guard.guard import GenerationOptions
    from rose_guard.message import Message
    from rose_guard.risk.answer_classifier import AnswerClassifier
    from rose_guard.risk.classifier import RiskClassifier

Outcome: TypeAlias = Answer | Decision | InputError
"""An answer; the decision that blocked it; or why the conversation cannot be answered, such as its length."""


class ArmModel:
    """An arm on an engine; safe to use from several threads as far as the engine and the classifier are.

    Args:
        arm: how to decode.
        engine: what decodes.
        options: how tokens are chosen, and how many; the same for all arms that are compared.
        classifier: what scores, where the arm steers by risk.
        answer_classifier: what scores answers, where the arm's policy checks them.

    Raises:
        ClassifierError: if the arm needs a classifier that is not there.
    """

    def __init__(
        self,
        arm: Arm,
        engine: Engine,
        options: GenerationOptions,
        *,
        classifier: RiskClassifier | None = None,
        answer_classifier: AnswerClassifier | None = None,
    ) -> None:
        if arm.needs_scores and classifier is None:
            raise ClassifierError(f"arm {arm.name!r} steers by risk and needs scores; give a classifier")
        self.arm = arm
        self.engine = engine
        self._options = arm.options(options)
        self._policy = arm.policy()
        self._classifier = classifier
        self._guard: Guard | None = None
        if arm.gate == "guard":
            self._guard = Guard(
                engine,
                classifier=classifier,
                policy=self._policy,
                answer_classifier=answer_classifier,
                memory=InMemoryConversations(),
            )

    def answers(self, conversations: Sequence[Sequence[Message]]) -> list[Outcome]:
        """What becomes of each conversation; one that cannot be answered takes no other with it.

        Raises:
            ClassifierError: if one could not be scored, which is neither an answer nor a refusal.
            DecodingError, EngineOverloadedError: from the engine.
        """
        try:
            return list(self._answers(conversations))
        except (InputError, PolicyViolation):
            return [self._outcome(messages) for messages in conversations]

    def requests(self, conversations: Sequence[Sequence[Message]]) -> list[tuple[Decision, GenerationRequest | None]]:
        """The decision on each, and what the engine would be asked for: None where the model does not answer."""
        return [
            (
                decision,
                self.arm.request(messages, self._options, decision, self._policy)
                if decision.action in ("allow", "steer")
                else None,
            )
            for messages, decision in zip(conversations, self._decisions(conversations), strict=True)
        ]

    def _outcome(self, messages: Sequence[Message]) -> Outcome:
        try:
            return self._answers([messages])[0]
        except InputError as error:
            return error
        except PolicyViolation:
            (decision,) = self._decisions([messages])
            if decision.action != "block":
                raise
            return decision

    def _answers(self, conversations: Sequence[Sequence[Message]]) -> list[Answer]:
        if self._guard is not None:
            answered = self._guard.answers(conversations, options=self._options)
            return [_as_scored(answer) for answer, *_ in answered]
        pairs = self.requests(conversations)
        decisions = [decision for decision, _ in pairs]
        requests = [request for _, request in pairs if request is not None]
        assert len(requests) == len(decisions), "only the guard refuses"
        if self.arm.decoder == "generate":
            return [
                Answer.of([Piece(guided(self.engine, request), decision)])
                for request, decision in zip(requests, decisions, strict=True)
            ]
        with ExitStack() as opened:
            streams = [opened.enter_context(closing(stream)) for stream in self.engine.streams(requests)]
            return [
                Answer.of([Piece(delta, decision) for delta in stream])
                for stream, decision in zip(streams, decisions, strict=True)
            ]

    def _decisions(self, conversations: Sequence[Sequence[Message]]) -> list[Decision]:
        return [
            self.arm.decide(messages, assessment, self._policy)
            for messages, assessment in zip(conversations, self._scores(conversations), strict=True)
        ]

    def _scores(self, conversations: Sequence[Sequence[Message]]) -> Sequence[RiskAssessment | None]:
        if not self.arm.needs_scores:
            return [None] * len(conversations)
        classifier = self._classifier
        assert classifier is not None
        if isinstance(classifier, Classifier):
            return worker.run(classifier.classify_many, conversations)
        return [worker.run(classifier.classify, messages) for messages in conversations]


def _as_scored(answer: Answer) -> Answer:
    """The answer, unless it is a refusal for want of a score."""
    verdict = answer.last.verdict
    if answer.decision.assessment is None or (verdict is not None and verdict.score is None):
        raise ClassifierError(
            f"a conversation or its answer could not be scored, so that its refusal would count for one "
            f"({answer.decision.reason}); mend the classifier and go on with the run"
        )
    return answer
