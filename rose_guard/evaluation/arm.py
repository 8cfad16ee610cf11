"""Arm: one way to decode that is compared with others; from scores to a decision, and to what an engine is asked for.

Arms that steer by risk have no deadline for scoring, so that what is measured does not hang on the machine, and a
conversation that could not be scored ends the measurement: it would be counted as a refusal.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from rose_guard.engines.engine import ReversePrompt
from rose_guard.errors import ClassifierError, SettingsError
from rose_guard.guard.request import generation_request
from rose_guard.message import digest
from rose_guard.policy import combination
from rose_guard.policy.checks import EMPTY_PROMPT
from rose_guard.policy.decision import Decision
from rose_guard.policy.policy import Policy
from rose_guard.policy.rule import MAX_HORIZON, Band
from rose_guard.taxonomy import HAZARDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rose_guard.assessment import RiskAssessment
    from rose_guard.engines.engine import GenerationRequest
    from rose_guard.guard import GenerationOptions
    from rose_guard.message import Message
    from rose_guard.policy.rule import Rule

Gate = Literal["never", "always", "hazard", "risk", "guard"]
"""When an arm steers: never; always, by its own prompts; always, by those of the likeliest hazard; where the policy
would do anything but allow; as the policy says, refusals included."""
Against = Literal["policy", "null", "nothing"]
"""What the policy's safe prompt is contrasted with: the policy's reverse prompt, an empty one, or nothing at all."""
Decoder = Literal["engine", "generate"]
"""Who decodes: the engine, or ``generate`` of transformers with its own guidance."""

_OWN = "arm"
_BY_SCORES: tuple[Gate, ...] = ("hazard", "risk", "guard")
_NO_POLICY = "plain"


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to decode.

    Args:
        name: by which records and reports know it.
        says: what it does, in one line.
        gate: when it steers.
        system: the safe prompt, read before the user's own system message; None for none, or the policy's.
        reverse: the reverse prompt of a gate that always steers by its own; empty is the null prompt.
        alpha: total strength of the contrast; None leaves it to the policy.
        horizon: contrast only the first so many tokens; None contrasts all, or as many as the policy says.
        beta: plausibility, as in :class:`~rose_guard.decoding.settings.RoseSettings`.
        against: what a gate that asks the policy contrasts with.
        decoder: who decodes.
        base: the policy of a gate that asks one; None for the shipped one.

    Raises:
        SettingsError: if a value is out of range, or the gate or the decoder has no use for it.
    """

    name: str
    says: str
    gate: Gate = "never"
    system: str | None = field(default=None, repr=False)
    reverse: str | None = field(default=None, repr=False)
    alpha: float | None = None
    horizon: int | None = None
    beta: float | None = None
    against: Against = "policy"
    decoder: Decoder = "engine"
    base: Policy | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for complaint in _complaints(self):
            raise SettingsError(f"arm {self.name!r}: {complaint}")

    @property
    def contrasts(self) -> bool:
        """Whether it ever contrasts."""
        return self.gate != "never" and self.against != "nothing"

    @property
    def needs_scores(self) -> bool:
        """Whether it asks a classifier."""
        return self.gate in _BY_SCORES

    def policy(self) -> Policy | None:
        """By which it decides; None where it never steers."""
        if self.gate == "never":
            return None
        return _of_own_prompts(self) if self.gate == "always" else _strengthened(self)

    def decide(self, messages: Sequence[Message], assessment: RiskAssessment | None, policy: Policy | None) -> Decision:
        """What happens to a conversation.

        Args:
            messages: the conversation.
            assessment: its scores; None only where the arm needs none.
            policy: the arm's :meth:`policy`, which takes a while to build.

        Raises:
            ClassifierError: if scores are missing.
        """
        judged = digest(messages)
        if policy is None:
            return Decision("allow", f"{self.name}: never steers", _NO_POLICY, judged)
        if self.needs_scores and assessment is None:
            raise ClassifierError(f"arm {self.name!r} steers by risk and needs scores; give a classifier")
        if self.gate == "hazard":
            assert assessment is not None
            return _steered(_likeliest_band(assessment, policy), policy, judged, assessment)
        decision = policy.decide(assessment, judged)
        if self.gate == "risk" and decision.action in ("refuse", "block"):
            assert assessment is not None
            band = replace(_deciding_band(decision, assessment, policy), alpha=self.alpha or policy.max_total_alpha)
            steered = _steered(band, policy, judged, assessment)
            return replace(steered, hazards=decision.hazards, attacks=decision.attacks)
        return decision

    def options(self, options: GenerationOptions) -> GenerationOptions:
        """What all arms are decoded with, and the arm's own plausibility."""
        return options if self.beta is None else replace(options, settings=options.settings.updated(beta=self.beta))

    def request(
        self, messages: Sequence[Message], options: GenerationOptions, decision: Decision, policy: Policy | None
    ) -> GenerationRequest:
        """What an engine is asked for, where the decision lets the model answer."""
        request = generation_request(messages, options, decision, policy=policy, tenant=None)
        if decision.action == "allow":
            return replace(request, safe_prompt=self.system) if self.system else request
        if self.against == "nothing":
            plain = request.settings.updated(alpha=0.0, horizon=None, schedule="constant")
            return replace(request, reverse_prompts=(), settings=plain)
        if self.against == "null":
            return replace(request, reverse_prompts=(ReversePrompt("", request.settings.alpha),))
        return request

    def definition(self) -> dict[str, Any]:
        """What the arm is, without the text of any prompt: two arms with the same one decode alike."""
        policy = self.policy()
        return {
            "gate": self.gate,
            "system": _digest(self.system),
            "reverse": _digest(self.reverse),
            "alpha": self.alpha,
            "horizon": self.horizon,
            "beta": self.beta,
            "against": self.against,
            "decoder": self.decoder,
            "policy": policy.digest if policy else None,
        }


def grid(
    arm: Arm, alphas: Sequence[float] = (), horizons: Sequence[int] = (), betas: Sequence[float] = ()
) -> list[Arm]:
    """The arm at every combination of these settings, each named for them; one that never contrasts, as it is.

    Args:
        arm: to be varied.
        alphas: strengths, above 0 and below 1; none leaves the arm's own, as below.
        horizons: numbers of contrasted tokens.
        betas: plausibilities.

    Raises:
        SettingsError: if a value is out of range, or the arm has no use for it.
    """
    if not arm.contrasts:
        return [arm]
    arms = [arm]
    for setting, values in (("alpha", alphas), ("horizon", horizons), ("beta", betas)):
        if values:
            arms = [_varied(each, setting, value) for each in arms for value in dict.fromkeys(values)]
    return arms


def _varied(arm: Arm, setting: str, value: float) -> Arm:
    name = f"{arm.name}{',' if '@' in arm.name else '@'}{setting}={value:g}"
    changes: Mapping[str, Any] = {setting: value}
    return replace(arm, name=name, **changes)


def _complaints(arm: Arm) -> list[str]:
    """What is wrong with an arm's values, and how to mend it."""
    own = arm.gate == "always"
    steers_by_generate = arm.decoder == "generate" and not (own and arm.horizon is None and arm.beta is None)
    alpha_due = own and arm.alpha is None
    laws = [
        (arm.name and arm.name.isprintable(), "a name has visible characters"),
        (own == (arm.reverse is not None), "a reverse prompt goes with the gate 'always', and only with it"),
        (not own or arm.system, "steering by its own prompts takes a safe prompt too"),
        (not alpha_due, "give the alpha that it steers with"),
        (arm.against == "policy" or arm.needs_scores, "its own prompts say what it steers against"),
        (arm.contrasts or (arm.alpha, arm.horizon, arm.beta) == (None,) * 3, "it never contrasts; leave out settings"),
        (
            arm.alpha is None or (math.isfinite(arm.alpha) and 0.0 < arm.alpha < 1.0),
            f"alpha = {arm.alpha}: must be above 0 and below 1; for no contrast there are 'plain' and 'safe_prompt'",
        ),
        (
            arm.horizon is None or 1 <= arm.horizon <= MAX_HORIZON,
            f"horizon = {arm.horizon}: must be 1 to {MAX_HORIZON}",
        ),
        (arm.beta is None or 0.0 <= arm.beta <= 1.0, f"beta = {arm.beta}: must be from 0 to 1"),
        (not steers_by_generate, "transformers' own guidance knows neither gate, horizon nor beta; leave them out"),
    ]
    return [complaint for holds, complaint in laws if not holds]


def _of_own_prompts(arm: Arm) -> Policy:
    """The shipped policy, steering every conversation by the arm's prompts."""
    assert arm.system is not None
    assert arm.reverse is not None
    assert arm.alpha is not None
    shipped = Policy.default()
    reverse_id = _OWN if arm.reverse else EMPTY_PROMPT
    return replace(
        shipped,
        safe_prompts={**shipped.safe_prompts, _OWN: {"en": arm.system}},
        reverse_prompts={**shipped.reverse_prompts, reverse_id: {"en": arm.reverse}},
        ungated=Band(0.0, "steer", arm.alpha, arm.horizon, _OWN, reverse_id, "refusal"),
        max_total_alpha=arm.alpha,
    )


def _strengthened(arm: Arm) -> Policy:
    """The policy's own rules, with all the time they need, and with the arm's alpha and horizon where it has any."""
    policy = arm.base or Policy.default()
    ceiling = policy.max_total_alpha if arm.alpha is None else max(arm.alpha, policy.max_total_alpha)
    rules = {label: _strengthened_rule(rule, arm) for label, rule in policy.rules.items()}
    changed = replace(policy, timeout_s=None, rules=rules, tenants={}, max_total_alpha=ceiling)
    if changed.ungated is not None or changed.mode != "enforce":
        raise SettingsError(f"arm {arm.name!r}: measure a policy that is gated by risk and enforces")
    return changed


def _strengthened_rule(rule: Rule, arm: Arm) -> Rule:
    changes: dict[str, Any] = {
        name: value for name, value in (("alpha", arm.alpha), ("horizon", arm.horizon)) if value is not None
    }
    return replace(rule, bands=tuple(replace(band, **changes) for band in rule.bands))


def _likeliest_band(assessment: RiskAssessment, policy: Policy) -> Band:
    """Of the hazard with the highest score, be it ever so low."""
    hazard = max(HAZARDS, key=lambda label: assessment.hazards[label])
    rule = policy.rules[hazard]
    return rule.band(assessment.hazards[hazard]) or rule.bands[0]


def _deciding_band(decision: Decision, assessment: RiskAssessment, policy: Policy) -> Band:
    """Of the rule that decided, at the score that it fired with."""
    label = (*decision.hazards, *decision.attacks)[0]
    band = policy.rules[label].band(assessment.scores[label])
    assert band is not None  # it fired
    return band


def _steered(band: Band, policy: Policy, judged: str, assessment: RiskAssessment) -> Decision:
    """A decision that steers by a band's prompts, whatever its action."""
    about = combination.Judged(policy.digest, judged, None, assessment)
    return combination.ungated(replace(band, action="steer"), about, policy.max_total_alpha)


def _digest(prompt: str | None) -> str | None:
    return None if prompt is None else hashlib.sha256(prompt.encode()).hexdigest()
