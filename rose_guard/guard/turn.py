"""Turn: one conversation's way through the guard, as steps that say what is to be done. Does nothing itself.

Sync and async run the same steps, so that neither can decide otherwise.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rose_guard.assessment import RiskAssessment
from rose_guard.engines.engine import Contrast, Delta, Timing, Usage
from rose_guard.errors import ConversationMemoryError, PolicyViolation
from rose_guard.guard.answer import Piece
from rose_guard.guard.effect import Assess, CountRiskyTurns, Notify
from rose_guard.guard.lines import decision_line, recorded
from rose_guard.guard.model_answer import ModelAnswer
from rose_guard.guard.request import generation_request
from rose_guard.guard.ruling import Ruling, overrules, tightened
from rose_guard.guard.unsteerable import refused, unsteered
from rose_guard.memory.key import ConversationKey
from rose_guard.memory.turn import RiskyTurn
from rose_guard.message import check_conversation, digest
from rose_guard.policy.decision import Decision

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from rose_guard.guard.effect import Steps
    from rose_guard.guard.means import Means
    from rose_guard.guard.options import GenerationOptions
    from rose_guard.message import Message
    from rose_guard.policy.policy import Policy

PLAIN = "plain"
_ID = re.compile(r"[!-~]{0,64}")
_UNCOUNTED = sys.maxsize
"""So many earlier risky turns where they could not be counted: every escalation is due."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """What is known of a turn before it begins.

    Args:
        messages: the conversation; what is judged is what is answered.
        options: what the caller chose.
        policy: what decides, the same to the end of the turn; None decodes plainly.
        tenant: whose rules hold.
        means: what the guard has to answer it with.
    """

    messages: tuple[Message, ...] = field(repr=False)
    options: GenerationOptions
    policy: Policy | None
    tenant: str | None
    means: Means

    def decide(self) -> Generator[Any, Any, Decision]:
        """Judge the conversation.

        Raises:
            InputError: if there is nothing to answer.
            AuditError: if the decision cannot be recorded and there is no policy to say what then.
        """
        decision, _ = yield from self._judge()
        return decision

    def answer(self) -> Steps:
        """Judge the conversation and answer it, piece by piece.

        Raises:
            PolicyViolation: if the action is ``block``, or a check that fails says so.
        """
        decision, named = yield from self._judge()
        if decision.action == "block":
            raise PolicyViolation(decision.reason, decision.decision_id)
        if decision.action == "refuse":
            yield from self._refuse(decision, named)
        else:
            request = generation_request(self.messages, self.options, decision, policy=named, tenant=self.tenant)
            language = self.options.language
            yield from ModelAnswer(request, decision, self._checking, self.tenant, language, self.means).steps()

    def _judge(self) -> Generator[Any, Any, tuple[Decision, Policy | None]]:
        """The decision, on record, and the policy whose prompts and messages it names."""
        check_conversation(self.messages)
        assessed = yield from self._assess()
        risky_turns = yield from self._count(assessed)
        decision, named = self._ruled(self._decision(assessed, risky_turns))
        decision = yield from self._recorded(decision)
        if decision.notify:
            yield Notify(decision)
        return decision, named

    @property
    def _checking(self) -> Policy | None:
        """Whose output check and ``on_audit_error`` hold: the turn's own policy, or where it has none the ruling's."""
        ruling = self.options.ruling
        return self.policy if self.policy is not None or ruling is None else ruling.policy

    def _assess(self) -> Generator[Any, Any, RiskAssessment | str | None]:
        if self.policy is None or self.policy.ungated is not None:
            return None
        messages = tuple(_in_words(message) for message in self.messages)
        assessed = yield Assess(messages, self.policy.scoring_time(_characters(messages)))
        return assessed  # type: ignore[no-any-return]

    def _count(self, assessed: RiskAssessment | str | None) -> Generator[Any, Any, dict[str, int] | None]:
        """Earlier risky turns of each label that escalates; None where nobody can tell whose turn this is."""
        who = ConversationKey(self.tenant, self.options.principal, self.options.thread)
        if self.policy is None or not isinstance(assessed, RiskAssessment):
            return None
        if who.principal is None and who.thread is None:
            return None
        firing = self.policy.firing(assessed, tenant=self.tenant)
        escalations = self.policy.escalations(firing, tenant=self.tenant)
        if not escalations:
            return None
        turn = RiskyTurn(tuple(escalations), self._turn_id(), time.time())
        windows = {label: (escalation.after, escalation.within_s) for label, escalation in escalations.items()}
        try:
            counted = yield CountRiskyTurns(who, turn, windows)
            return {label: int(counted[label]) for label in escalations}
        except Exception as error:  # noqa: BLE001 - whatever a memory raises, or gives, must not pass for no turns
            why = str(error) if isinstance(error, ConversationMemoryError) else type(error).__name__
            logger.error("risky turns could not be counted, so every escalation is due: %s", why)  # noqa: TRY400
            return dict.fromkeys(escalations, _UNCOUNTED)

    def _turn_id(self) -> str:
        """Digest of the thread, and of what was said up to the last user turn.

        A retry and a step of a tool loop are the same turn, and so is what an agent's middleware judges before the
        model adds a system message. A turn after a risky one is another, as long as the rule still fires on what was
        said before: else whoever began with the worst would never be counted again.
        """
        said = [message for message in self.messages if message.role != "system"]
        last = max(i for i, message in enumerate(said) if message.role == "user")
        canonical = json.dumps([self.options.thread, digest(said[: last + 1])])
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _decision(self, assessed: RiskAssessment | str | None, risky_turns: dict[str, int] | None) -> Decision:
        judged = digest(self.messages)
        if self.policy is None:
            return Decision("allow", "no policy: plain decoding", PLAIN, judged)
        if isinstance(assessed, str):
            return self.policy.decide_unscored(assessed, judged, tenant=self.tenant)
        return self.policy.decide(assessed, judged, tenant=self.tenant, risky_turns=risky_turns)

    def _ruled(self, own: Decision) -> tuple[Decision, Policy | None]:
        """What holds of the own decision and a ruling, as far as the model can do it, and whose prompts it names."""
        holding, named = own, self._checking
        if (ruling := self.options.ruling) is not None:
            holding = tightened(own, ruling.decision)
            named = ruling.policy if overrules(ruling.decision, own) else named
        if holding.action == "steer" and not self.means.steers:
            rulings = [Ruling(own, self.policy)] if self.policy is not None else []
            holding = unsteered(holding, [*rulings, ruling] if ruling else rulings, local=self.means.local)
            if holding.action == "allow":
                logger.warning("decision %s would steer, but the model cannot be: warn", holding.decision_id)
        return holding, named

    def _recorded(self, decision: Decision) -> Generator[Any, Any, Decision]:
        """The decision, once its line is durable; a refusal where it cannot be."""
        if not self.means.records:
            return decision
        line = decision_line(decision, self.messages, self.options)
        if (yield from recorded(line, decision, self._checking)) or decision.action == "block":
            return decision
        return refused(decision, "the decision could not be recorded: refuse")

    def _refuse(self, decision: Decision, named: Policy | None) -> Steps:
        """The policy's message, as often as answers were asked for; the model does not run."""
        assert named is not None
        text = named.message(decision.message or "refusal", self.options.language)
        refusal = Delta(text, "content_filter", Usage(0, 0), Contrast(0, 0), Timing())
        for index in range(self.options.n):
            yield Piece(replace(refusal, index=index), decision)


def _in_words(message: Message) -> Message:
    """A message whose content is all that is to be scored: classifiers know nothing of tool calls.

    Ids are no words, but templates write them out, and whoever sends a conversation may make a text of one.
    """
    ids = [message.tool_call_id, *(call.id for call in message.tool_calls)]
    texts = [text for text in ids if text and not _ID.fullmatch(text)]
    if not message.tool_calls and not texts:
        return message
    return replace(message, content="\n".join([message.text, *texts]), tool_calls=())


def _characters(messages: Sequence[Message]) -> int:
    return sum(len(message.content) + len(message.name or "") for message in messages)
