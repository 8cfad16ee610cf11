"""CheckedAnswer: an answer of which nothing is shown before it was scored, as steps that say what is to be done.

What is found harmful is withheld. The policy says whether the answer is then refused, or begun anew behind what was
clean, with a stronger contrast.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rose_guard.engines.engine import Contrast, Delta, ReversePrompt, Timing
from rose_guard.errors import DecodingError, EngineOverloadedError, InputError, PolicyViolation
from rose_guard.guard.answer import OutputVerdict, Piece
from rose_guard.guard.effect import Decode, Read, ScoreAnswer
from rose_guard.guard.held_answer import HeldAnswer
from rose_guard.guard.lines import end_line, output_line, recorded, restart_line

if TYPE_CHECKING:
    from collections.abc import Generator

    from rose_guard.engines.engine import GenerationRequest
    from rose_guard.guard.effect import Record, Steps
    from rose_guard.policy.decision import Decision
    from rose_guard.policy.policy import Policy

UNRECORDED = "what was found could not be recorded"

Finding = float | str
"""The score that was too high, or why there is none."""


@dataclass(slots=True)
class CheckedAnswer:
    """One answer under way.

    Args:
        request: for one answer.
        decision: what the policy decided of the conversation.
        policy: says what is harmful, and what happens then.
        index: which of several answers it is.
        language: of the policy's texts.
        records: whether there is an audit log.
        local: whether the guard's local engine decodes it.
        steers: whether what decodes it can be steered; without that, nothing is begun anew.
    """

    request: GenerationRequest
    decision: Decision
    policy: Policy
    index: int
    language: str
    records: bool
    local: bool = False
    steers: bool = True
    given: list[Piece] = field(default_factory=list, init=False)
    """What was given out."""
    _held: HeldAnswer = field(init=False)
    _restarts: int = 0

    def __post_init__(self) -> None:
        check = self.policy.output
        self._held = HeldAnswer(check.window_tokens, check.hold_back_tokens, self.index)

    def steps(self) -> Steps:
        """Decode, score each window, and give out what is clean; in shadow mode all of it, and say what was found.

        Raises:
            PolicyViolation: if the answer cannot be scored or recorded and the policy blocks then.
        """
        yield Decode(self.request, self.local)
        finding = yield from self._release_while_clean()
        for alpha in restart_alphas(self.decision, self.policy) if self.steers else ():
            if not isinstance(finding, float) or not self._held.is_text_alone:
                break
            self._held.discard()
            finding = yield from self._begin_anew(alpha, finding)
        if finding is not None:
            self._held.discard()
            yield from self._refuse(finding)

    def _release_while_clean(self) -> Generator[Any, Any, Finding | None]:
        """Give out what is clean; ends with what was found, or None at the answer's end."""
        held, threshold = self._held, self.policy.output.threshold
        scores: list[float] = []
        unscored = False
        while (delta := (yield Read())) is not None:
            held.push(delta)
            if not held.due:
                continue
            if held.window:
                score: Finding = yield ScoreAnswer(held.window, self.policy.scoring_time(len(held.window)))
                if self.policy.mode == "enforce" and (isinstance(score, str) or score >= threshold):
                    return score
                if isinstance(score, str):
                    unscored = True
                else:
                    scores.append(score)
            if delta.finish_reason is None:
                yield from self._give()
                continue
            highest = max(scores, default=None if unscored else 0.0)
            harmful = any(score >= threshold for score in scores)
            found = "harmful" if harmful else "unscored" if unscored else "clean"
            verdict = OutputVerdict("release", highest, self._restarts)
            if not (yield from self._recorded_end(verdict, found, held.end_tokens)):
                return UNRECORDED
            yield from self._give(verdict)
            return None
        raise DecodingError("the engine gave no end of an answer")

    def _begin_anew(self, alpha: float, finding: float) -> Generator[Any, Any, Finding | None]:
        """Decode on behind what was clean, contrasted this strongly; ends as :meth:`_release_while_clean` does.

        Where that cannot begin (no room in the context or in the engine, nothing to contrast), what was found stands.
        """
        line = restart_line(self.decision, self._restarts + 1, alpha, self._held.tokens, self.index)
        if self.records and not (yield from recorded(line, self.decision, self.policy)):
            return UNRECORDED
        decoded = self._held.usage.output_tokens
        self._restarts += 1
        try:
            yield Decode(self._restarted(alpha), self.local)
            return (yield from self._release_while_clean())
        except (InputError, EngineOverloadedError, DecodingError):
            if self._held.usage.output_tokens > decoded:
                raise
            self._restarts -= 1
            return finding

    def _refuse(self, finding: Finding) -> Steps:
        """End the answer with the policy's message; what was found is never shown."""
        unscored = isinstance(finding, str)
        verdict = OutputVerdict("refuse", None if unscored else float(finding), self._restarts)
        message = self.policy.message(self.policy.output.message, self.language)
        text = f"\n\n{message}" if self._held.text else message
        usage, shown = self._held.usage, self._held.tokens
        last = Delta(text, "content_filter", usage, Contrast(0, 0), Timing(), prompt_tokens=usage.input_tokens)
        self._held.push(last)
        if finding is not UNRECORDED:
            yield from self._recorded_end(verdict, "unscored" if unscored else "harmful", shown)
        if unscored and finding is not UNRECORDED and self.policy.output.on_error == "block":
            raise PolicyViolation(f"the answer could not be checked ({finding})", self.decision.decision_id)
        yield from self._give(verdict)

    def _give(self, verdict: OutputVerdict | None = None) -> Steps:
        """Give out what waits; the last piece of all carries the verdict."""
        for released in self._held.release():
            piece = Piece(released, self.decision, verdict if released.finish_reason is not None else None)
            self.given.append(piece)
            yield piece

    def _recorded_end(self, verdict: OutputVerdict, found: str, tokens: int) -> Generator[Any, Any, bool]:
        """Write down the verdict on so many tokens, and how the answer ends; whether both are durable."""
        if not self.records:
            return True
        last, shown = self._held.end
        lines: list[Record] = [
            output_line(self.decision, verdict, found, (0, tokens), self.index),
            end_line(self.decision, last, shown),
        ]
        for line in lines:
            if not (yield from recorded(line, self.decision, self.policy)):
                return False
        return True

    def _restarted(self, alpha: float) -> GenerationRequest:
        """The same answer behind what was released of it, with a stronger contrast to its end."""
        return replace(
            self.request,
            begun=self._held.text,
            max_new_tokens=max(1, self.request.max_new_tokens - self._held.tokens),
            settings=self.request.settings.updated(alpha=alpha, horizon=None, schedule="constant"),
            **({} if self.request.reverse_prompts else self._checks_contrast()),
        )

    def _checks_contrast(self) -> dict[str, Any]:
        """What is contrasted where the decision says nothing of it."""
        check = self.policy.output
        return {
            "safe_prompt": self.policy.safe_prompt(check.safe_prompt, self.language),
            "reverse_prompts": (ReversePrompt(self.policy.reverse_prompt(check.reverse_prompt, self.language)),),
        }


def restart_alphas(decision: Decision, policy: Policy) -> tuple[float, ...]:
    """Total alpha of each restart: from ``restart_alpha`` up to the policy's ceiling, each above the one before.

    A restart that could not be stronger than what was found harmful is none.
    """
    check = policy.output
    if check.action != "restart" or policy.mode == "shadow":
        return ()
    ceiling = max(policy.max_total_alpha, decision.alpha)  # a ruling's policy may have a higher one
    rise = (policy.max_total_alpha - check.restart_alpha) / max(1, check.restarts - 1)
    alphas: list[float] = []
    for restart in range(check.restarts):
        alpha = min(max(check.restart_alpha + rise * restart, decision.alpha), ceiling)
        # A contrast that ended at its horizon is stronger already when it goes on.
        if alpha > (alphas[-1] if alphas else decision.alpha) or (not alphas and decision.horizon is not None):
            alphas.append(alpha)
    return tuple(alphas)
