"""Policy: the rules as they apply, every default and reference resolved, and the decision they lead to."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rose_guard.errors import PolicyError, SettingsError
from rose_guard.policy import combination
from rose_guard.policy.checks import broken_laws
from rose_guard.policy.decision import Decision
from rose_guard.policy.document import PolicyDocument
from rose_guard.policy.firing import Rulebook
from rose_guard.policy.localisation import FALLBACK_LANGUAGE, canonical, localised
from rose_guard.policy.parts import PolicyParts
from rose_guard.policy.references import unknown_in_parts
from rose_guard.policy.resolution import resolve
from rose_guard.policy.rule import Band
from rose_guard.policy.schema import TEXT_GROUPS
from rose_guard.policy.shipped import shipped_parts
from rose_guard.policy.spelling import did_you_mean, listed
from rose_guard.policy.values import wrong_values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rose_guard.assessment import RiskAssessment
    from rose_guard.policy.escalation import Escalation

TIMEOUT_CHARACTERS = 1000.0
"""A text of this length has twice the time of an empty one."""
MAX_SCORING_S = 120.0
"""The most time that a text has for its length, in seconds."""
_ONLY_WATCHED = "no locked rule fired; the others only watch, in shadow mode"


@dataclass(frozen=True)
class Policy(PolicyParts):
    """A policy ready to decide. Build one with :meth:`load`, :meth:`default` or :meth:`always`.

    Its arguments are those of :class:`~rose_guard.policy.parts.PolicyParts`.

    Raises:
        PolicyError: listing every law that it breaks: a value out of range, an id that it lacks, bands that fall, a
            lock that is weakened.
    """

    def __post_init__(self) -> None:
        complaints = wrong_values(self) or [*broken_laws(self, shipped_parts().rules), *unknown_in_parts(self)]
        if complaints:
            raise PolicyError([str(complaint) for complaint in complaints])
        for name in TEXT_GROUPS:
            texts = {key: _frozen(_canonical(text)) for key, text in getattr(self, name).items()}
            object.__setattr__(self, name, _frozen(texts))
        # A tenant's rule that says what the policy's own says is no difference.
        tenants = {
            name: _frozen({label: rule for label, rule in rules.items() if rule != self.rules[label]})
            for name, rules in self.tenants.items()
        }
        object.__setattr__(self, "tenants", _frozen(tenants))
        object.__setattr__(self, "rules", _frozen(self.rules))

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """Read a policy file; what it does not list comes from the shipped policy.

        Raises:
            PolicyError: listing every mistake as ``FILE:LINE:COLUMN: what, and a suggestion``.
        """
        return cls(**resolve(PolicyDocument.read(Path(path)), shipped_parts()).parts())

    @classmethod
    def from_yaml(cls, text: str, *, name: str = "policy") -> Policy:
        """As :meth:`load`, from a text."""
        return cls(**resolve(PolicyDocument(text, name), shipped_parts()).parts())

    @staticmethod
    def default() -> Policy:
        """The policy that ships with rose_guard."""
        return _default()

    @classmethod
    def always(
        cls,
        alpha: float = 0.5,
        reverse_prompt: str = "generic",
        *,
        safe_prompt: str = "generic",
        horizon: int | None = None,
    ) -> Policy:
        """Steer every conversation, ungated: no classifier runs, nothing is refused. For comparisons and tests.

        Raises:
            SettingsError: if alpha is not in (0, 1).
            PolicyError: if the shipped policy has no such prompt.
        """
        if not (math.isfinite(alpha) and 0.0 < alpha < 1.0):
            raise SettingsError(f"alpha = {alpha}: must be above 0 and below 1; for plain decoding use policy=None")
        shipped = cls.default()
        for kind, prompt, known in (
            ("reverse prompt", reverse_prompt, shipped.reverse_prompts),
            ("safe prompt", safe_prompt, shipped.safe_prompts),
        ):
            if prompt not in known:
                raise PolicyError([f"unknown {kind} {prompt!r}{did_you_mean(prompt, known)}"])
        band = Band(0.0, "steer", alpha, horizon, safe_prompt, reverse_prompt, "refusal")
        return replace(shipped, ungated=band, max_total_alpha=alpha)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the policy's canonical JSON, as 64 hex digits."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        canonical_json = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_plain)
        return hashlib.sha256(canonical_json.encode()).hexdigest()

    def rulebook(self, tenant: str | None = None) -> Rulebook:
        """The rules that hold for a tenant, or the policy's own.

        Raises:
            PolicyError: if the policy has no such tenant.
        """
        try:
            return self._rulebooks[tenant]
        except KeyError:
            known = f"it knows: {listed(self.tenants)}" if self.tenants else "it has no tenants"
            raise PolicyError([f"the policy has no tenant {tenant!r}; {known}"]) from None

    def firing(self, assessment: RiskAssessment, *, tenant: str | None = None) -> tuple[str, ...]:
        """Labels whose rules fire with an action of ``steer`` or stricter, in taxonomy order.

        Raises:
            PolicyError: if the policy has no such tenant.
        """
        return tuple(each.label for each in self.rulebook(tenant).firing(assessment))

    def escalations(self, labels: Iterable[str], *, tenant: str | None = None) -> dict[str, Escalation]:
        """The escalations of those labels that have one.

        Raises:
            PolicyError: if the policy has no such tenant.
        """
        rules = self.rulebook(tenant).rules
        return {label: escalate for label in labels if (escalate := rules[label].escalate) is not None}

    def decide(
        self,
        assessment: RiskAssessment | None,
        messages_digest: str,
        *,
        tenant: str | None = None,
        risky_turns: Mapping[str, float] | None = None,
    ) -> Decision:
        """The strictest action of all rules that fire; where that is ``steer``, its branches.

        In shadow mode only locked rules act, and ``shadow`` tells what all of them would have done. How several
        rules share the contrast: :mod:`rose_guard.policy.combination`.

        Args:
            assessment: the scores; None is allowed only where the policy is ungated.
            messages_digest: digest of the messages that were scored.
            tenant: whose rules hold; None for the policy's own.
            risky_turns: per label, how many earlier risky turns lie within its rule's window, infinity where that
                could not be found out; None, or a label left out, where nobody counts: then the bands alone decide.

        Raises:
            PolicyError: if the policy has no such tenant.
        """
        rules = self.rulebook(tenant)
        judged = combination.Judged(self.digest, messages_digest, tenant, assessment)
        if self.ungated is not None:
            return combination.ungated(self.ungated, replace(judged, assessment=None), self.max_total_alpha)
        if assessment is None:
            return self.decide_unscored("not scored", messages_digest, tenant=tenant)
        firing = rules.firing(assessment, risky_turns)
        whole = combination.decision(firing, judged, self.max_total_alpha, "no rule fired")
        if self.mode == "enforce":
            return whole
        locked = [each for each in firing if each.rule.locked]
        return _over_shadow(combination.decision(locked, judged, self.max_total_alpha, _ONLY_WATCHED), whole)

    def scoring_time(self, characters: int) -> float | None:
        """How long scoring so many characters may take, in seconds.

        It is ``timeout_s · (1 + characters / 1000)``, but where that is longer than ``MAX_SCORING_S``, that or
        ``timeout_s``, whichever is longer.
        """
        if self.timeout_s is None:
            return None
        return min(self.timeout_s * (1.0 + characters / TIMEOUT_CHARACTERS), max(self.timeout_s, MAX_SCORING_S))

    def decide_unscored(self, why: str, messages_digest: str, *, tenant: str | None = None) -> Decision:
        """The decision where the classifier failed: what ``classifier.on_error`` says, never ``allow``.

        It holds in shadow mode too, since a locked rule may be at stake.

        Raises:
            PolicyError: if the policy has no such tenant.
        """
        self.rulebook(tenant)
        decision = Decision(
            self.on_error,
            f"risk could not be scored ({why}): {self.on_error}",
            self.digest,
            messages_digest,
            message="refusal" if self.on_error == "refuse" else None,
            tenant=tenant,
        )
        return decision if self.mode == "enforce" else _over_shadow(decision, decision)

    def safe_prompt(self, prompt_id: str, language: str = FALLBACK_LANGUAGE) -> str:
        """Text of a safe prompt in a language, or a wider one (``fr`` for ``fr-CA``), or English."""
        return localised(self.safe_prompts[prompt_id], language)

    def reverse_prompt(self, prompt_id: str, language: str = FALLBACK_LANGUAGE) -> str:
        """Text of a reverse prompt, likewise; never to be shown or logged."""
        return localised(self.reverse_prompts[prompt_id], language)

    def message(self, message_id: str, language: str = FALLBACK_LANGUAGE) -> str:
        """Text of a message to the user, likewise."""
        return localised(self.messages[message_id], language)

    @cached_property
    def _rulebooks(self) -> dict[str | None, Rulebook]:
        """Settled once: a decision looks up what holds for a tenant, and merges nothing."""
        books: dict[str | None, Rulebook] = {None: Rulebook(self.rules)}
        for name, rules in self.tenants.items():
            books[name] = Rulebook({**self.rules, **rules})
        return books


def _over_shadow(enforced: Decision, whole: Decision) -> Decision:
    return replace(enforced, mode="shadow", shadow=whole, decision_id=whole.decision_id)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else asdict(value)


def _canonical(texts: Mapping[str, str]) -> dict[str, str]:
    return {canonical(language): text for language, text in texts.items()}


def _frozen(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(values))


@cache
def _default() -> Policy:
    return Policy(**shipped_parts().parts())
