"""Bench: the judge, loaded when it is first needed, and what it ruled lately."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from rose_guard.engines.worker import worker
from rose_guard.errors import SettingsError
from rose_guard.langchain.loading import answer_classifier_for, classifier_for, loaded_policy, policy_now
from rose_guard.langchain.middleware.asks import CheckAnswer
from rose_guard.langchain.middleware.events import event
from rose_guard.langchain.middleware.judge import Judge
from rose_guard.langchain.middleware.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rose_guard.guard.ruling import Ruling
    from rose_guard.langchain.middleware.asks import Decide, Steps
    from rose_guard.langchain.middleware.checks import Checks
    from rose_guard.policy.live import LivePolicy
    from rose_guard.policy.policy import Policy
    from rose_guard.risk.answer_classifier import AnswerClassifier
    from rose_guard.risk.classifier import RiskClassifier

T = TypeVar("T")
_RULINGS = 1024


class Bench:
    """Runs steps before the judge, remembers its rulings, and tells an agent's custom stream of them.

    Args:
        policy: what decides, as a user may give it.
        checks: say whether answers are checked.
        classifier: what scores risk; the one that the policy names unless given.
        answer_classifier: what scores answers; the embedded one unless given, where answers are checked.
        parts: the judge's other parts.

    Raises:
        SettingsError: if there is no policy.
        PolicyError: if it is wrong, or has no such tenant.
    """

    def __init__(
        self,
        policy: Policy | LivePolicy | str | Path,
        checks: Checks,
        *,
        classifier: RiskClassifier | None,
        answer_classifier: AnswerClassifier | None,
        **parts: Any,
    ) -> None:
        self._policy = loaded_policy(policy)
        if (now := policy_now(self._policy)) is None:
            raise SettingsError("policy=None would guard nothing; leave the middleware out, or name a policy")
        now.rulebook(parts["tenant"])
        self._classifier, self._answer_classifier = classifier, answer_classifier
        self._checks, self._parts = checks, parts
        self._judge: Judge | None = None
        self._rulings: Recent[Ruling] = Recent(_RULINGS)

    @property
    def judge(self) -> Judge:
        """What decides; the first use loads the classifiers.

        Raises:
            ModelLoadError: if one is missing; the message names the command that mends it.
        """
        return self._judge or worker.run(self._loaded)

    def run(self, steps: Steps[T], runtime: Any) -> T:
        """Have the judge do what the steps ask for."""
        return self.judge.run(steps, self._note(runtime))

    async def arun(self, steps: Steps[T], runtime: Any) -> T:
        """As :meth:`run`, without blocking the event loop."""
        judge = await asyncio.to_thread(lambda: self.judge)
        return await judge.arun(steps, self._note(runtime))

    def known(self, state: Any) -> Ruling | None:
        """The ruling that an agent's state names, where this process still has it."""
        return self._rulings.find(state.get("rose_decision")) if isinstance(state, dict) else None

    def plain_refusal(self, language: str) -> str:
        """The refusal of the policy in force, which no rule words."""
        return self.judge.policy_in_force.message("refusal", language)

    def _note(self, runtime: Any) -> Callable[[Decide | CheckAnswer, Any], None]:
        def note(ask: Decide | CheckAnswer, given: Any) -> None:
            if isinstance(ask, CheckAnswer):
                runtime.stream_writer(event("output", ask.ruling, given))
            else:
                self._rulings.keep(given.decision.decision_id, given)
                runtime.stream_writer(event(ask.stage, given))

        return note

    def _loaded(self) -> Judge:
        """Runs on the worker alone, so that it needs no lock and loads nothing twice."""
        if self._judge is None:
            policy = policy_now(self._policy)
            assert policy is not None
            checked = policy if policy.output.enabled else self._checks.with_output(policy)
            self._judge = Judge(
                policy=self._policy,
                classifier=classifier_for(policy, self._classifier),
                answer_classifier=answer_classifier_for(checked, self._answer_classifier),
                **self._parts,
            )
        return self._judge
