"""Turn: one conversation's way through the guard, as steps that say what is to be done. Does nothing itself.

Sync and async run the same steps, so that neither can decide otherwise.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rose_guard.assessment import RiskAssessment
from rose_guard.engines.engine import Contrast, Delta, GenerationRequest, ReversePrompt, Timing, Usage
from rose_guard.errors import ConversationMemoryError, DecodingError, PolicyViolation
from rose_guard.guard.answer import Piece
from rose_guard.guard.checked_answer import CheckedAnswer
from rose_guard.guard.effect import Assess, CountRiskyTurns, Decode, Notify, Read
from rose_guard.guard.lines import decision_line, end_line, recorded
from rose_guard.memory.key import ConversationKey
from rose_guard.memory.turn import RiskyTurn
from rose_guard.message import check_conversation, digest
from rose_guard.policy.decision import Decision

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from rose_guard.decoding.settings import RoseSettings
    from rose_guard.guard.effect import Steps
    from rose_guard.guard.options import GenerationOptions
    from rose_guard.message import Message
    from rose_guard.policy.policy import Policy

PLAIN = "plain"
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
        records: whether there is an audit log.
    """

    messages: tuple[Message, ...] = field(repr=False)
    options: GenerationOptions
    policy: Policy | None
    tenant: str | None
    records: bool

    def decide(self) -> Generator[Any, Any, Decision]:
        """Judge the conversation.

        Raises:
            InputError: if there is nothing to answer.
            AuditError: if the decision cannot be recorded and there is no policy to say what then.
        """
        check_conversation(self.messages)
        assessed = yield from self._assess()
        risky_turns = yield from self._count(assessed)
        decision = yield from self._recorded(self._decision(assessed, risky_turns))
        if decision.notify:
            yield Notify(decision)
        return decision

    def answer(self) -> Steps:
        """Judge the conversation and answer it, piece by piece.

        Raises:
            PolicyViolation: if the action is ``block``, or a check that fails says so.
        """
        decision = yield from self.decide()
        if decision.action == "block":
            raise PolicyViolation(decision.reason, decision.decision_id)
        if decision.action == "refuse":
            yield from self._refuse(decision)
        elif self.policy is not None and self.policy.output.enabled:
            yield from self._answer_checked(self._request(decision), decision)
        else:
            yield from self._answer(self._request(decision), decision)

    def _assess(self) -> Generator[Any, Any, RiskAssessment | str | None]:
        if self.policy is None or self.policy.ungated is not None:
            return None
        assessed = yield Assess(self.messages, self.policy.scoring_time(_characters(self.messages)))
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
        """Digest of the thread, and of the conversation up to the last user turn.

        A retry and a step of a tool loop are the same turn. A turn after a risky one is another, as long as the rule
        still fires on what was said before: else whoever began with the worst would never be counted again.
        """
        last = max(i for i, message in enumerate(self.messages) if message.role == "user")
        canonical = json.dumps([self.options.thread, digest(self.messages[: last + 1])])
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _decision(self, assessed: RiskAssessment | str | None, risky_turns: dict[str, int] | None) -> Decision:
        judged = digest(self.messages)
        if self.policy is None:
            return Decision("allow", "no policy: plain decoding", PLAIN, judged)
        if isinstance(assessed, str):
            return self.policy.decide_unscored(assessed, judged, tenant=self.tenant)
        return self.policy.decide(assessed, judged, tenant=self.tenant, risky_turns=risky_turns)

    def _recorded(self, decision: Decision) -> Generator[Any, Any, Decision]:
        """The decision, once its line is durable; a refusal where it cannot be."""
        if not self.records:
            return decision
        line = decision_line(decision, self.messages, self.options)
        if (yield from recorded(line, decision, self.policy)) or decision.action == "block":
            return decision
        reason = "the decision could not be recorded: refuse"
        return replace(
            decision, action="refuse", reason=reason, branches=(), safe_prompt=None, horizon=None, message="refusal"
        )

    def _refuse(self, decision: Decision) -> Steps:
        """The policy's message, as often as answers were asked for; the model does not run."""
        assert self.policy is not None
        text = self.policy.message(decision.message or "refusal", self.options.language)
        refusal = Delta(text, "content_filter", Usage(0, 0), Contrast(0, 0), Timing())
        for index in range(self.options.n):
            yield Piece(replace(refusal, index=index), decision)

    def _answer(self, request: GenerationRequest, decision: Decision) -> Steps:
        """What the engine decodes, as it comes."""
        yield Decode(request)
        texts, unfinished = [""] * request.n, request.n
        while (delta := (yield Read())) is not None:
            shown = texts[delta.index]
            texts[delta.index] += delta.text
            unfinished -= delta.finish_reason is not None
            if self.records and delta.finish_reason is not None:
                line = end_line(decision, delta, texts[delta.index])
                if not (yield from recorded(line, decision, self.policy)):
                    delta = self._cut_short(delta, shown)
            yield Piece(delta, decision)
        if unfinished:
            raise DecodingError("the engine gave no end of an answer")

    def _cut_short(self, last: Delta, shown: str) -> Delta:
        """A refusal in place of an answer's end that could not be recorded."""
        assert self.policy is not None
        message = self.policy.message(self.policy.output.message, self.options.language)
        return replace(last, text=f"\n\n{message}" if shown else message, finish_reason="content_filter", logprobs=())

    def _answer_checked(self, request: GenerationRequest, decision: Decision) -> Steps:
        """Each answer by itself, since each may be stopped or begun anew."""
        assert self.policy is not None
        for index in range(request.n):
            settings = request.settings
            if settings.seed is not None:
                settings = settings.updated(seed=settings.seed + index)
            alone = replace(request, n=1, settings=settings)
            yield from CheckedAnswer(alone, decision, self.policy, index, self.options.language, self.records).steps()

    def _request(self, decision: Decision) -> GenerationRequest:
        options = self.options
        return GenerationRequest(
            messages=self.messages,
            settings=_contrasted(options.settings, decision),
            max_new_tokens=options.max_new_tokens,
            stop=options.stop,
            n=options.n,
            logprobs=options.logprobs,
            constraint=options.constraint,
            principal=self._owner,
            **(self._contrast(decision) if decision.action == "steer" else {}),
        )

    @property
    def _owner(self) -> str | None:
        """Who may find again what was read of this conversation; principals of two tenants are two."""
        principal = self.options.principal
        return principal if principal is None or self.tenant is None else json.dumps([self.tenant, principal])

    def _contrast(self, decision: Decision) -> dict[str, Any]:
        """The decision's prompts in words: what only the steered branches read."""
        assert self.policy is not None
        assert decision.safe_prompt is not None
        language = self.options.language
        return {
            "safe_prompt": self.policy.safe_prompt(decision.safe_prompt, language),
            "reverse_prompts": tuple(
                ReversePrompt(self.policy.reverse_prompt(prompt_id, language), alpha)
                for prompt_id, alpha in decision.branches
            ),
        }


def _contrasted(settings: RoseSettings, decision: Decision) -> RoseSettings:
    """A caller's settings with the contrast that was decided; without a horizon there is none for a schedule."""
    schedule = settings.schedule if decision.horizon is not None else "constant"
    return settings.updated(alpha=decision.alpha, horizon=decision.horizon, schedule=schedule)


def _characters(messages: Sequence[Message]) -> int:
    return sum(len(message.content) + len(message.name or "") for message in messages)
