"""Policy: the rules as they apply, every default and reference resolved, and the decision they lead to."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache, cached_property
from importlib.resources import as_file, files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rose_guard.errors import PolicyError, SettingsError
from rose_guard.policy.decision import Action, Decision, strictness
from rose_guard.policy.document import PolicyDocument
from rose_guard.policy.resolution import resolve
from rose_guard.policy.rule import Band, Rule
from rose_guard.policy.schema import SEVERITIES
from rose_guard.policy.spelling import did_you_mean
from rose_guard.taxonomy import ATTACKS, HAZARDS

if TYPE_CHECKING:
    from rose_guard.assessment import RiskAssessment

MAX_STEERING_HAZARDS = 2
FALLBACK_LANGUAGE = "en"
TIMEOUT_CHARACTERS = 1000.0
"""A text of this length has twice the time of an empty one."""


@dataclass(frozen=True)
class Policy:
    """A policy ready to decide. Build one with :meth:`load`, :meth:`default` or :meth:`always`.

    Args:
        rules: a rule for every hazard and attack.
        safe_prompts: by id, then language.
        reverse_prompts: by id, then language.
        messages: by id, then language.
        max_total_alpha: ceiling of a decision's total alpha.
        classifier: name of the classifier it is written for.
        on_error: the action when the classifier fails or is late.
        timeout_s: how long scoring a short conversation may take, in seconds; None sets no limit.
        ungated: steer every conversation with this band, whatever its risk; for comparisons and tests.
    """

    rules: Mapping[str, Rule] = field(repr=False)
    safe_prompts: Mapping[str, Mapping[str, str]] = field(repr=False)
    reverse_prompts: Mapping[str, Mapping[str, str]] = field(repr=False)
    messages: Mapping[str, Mapping[str, str]] = field(repr=False)
    max_total_alpha: float
    classifier: str
    on_error: Action
    timeout_s: float | None = None
    ungated: Band | None = None

    def __post_init__(self) -> None:
        if missing := [label for label in (*HAZARDS, *ATTACKS) if label not in self.rules]:
            raise PolicyError([f"no rule for {label}" for label in missing])
        if strictness(self.on_error) < strictness("refuse"):
            raise PolicyError([f"on_error is {self.on_error!r}: a failed classifier must lead to 'refuse' or 'block'"])
        for name in ("rules", "safe_prompts", "reverse_prompts", "messages"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """Read a policy file; what it does not list comes from the shipped policy.

        Raises:
            PolicyError: listing every mistake as ``FILE:LINE:COLUMN: what, and a suggestion``.
        """
        return cls(**resolve(PolicyDocument.read(Path(path)), cls.default()))

    @classmethod
    def from_yaml(cls, text: str, *, name: str = "policy") -> Policy:
        """As :meth:`load`, from a text."""
        return cls(**resolve(PolicyDocument(text, name), cls.default()))

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
        canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_plain)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def decide(self, assessment: RiskAssessment | None, messages_digest: str) -> Decision:
        """The strictest action of all bands that fire; where that is ``steer``, its branches.

        Steering ranks the firing bands by (alpha, severity, score, taxonomy order) and keeps two:
        ``A = min(alpha₁, max_total_alpha)`` and ``alphaᵢ = A · alphaᵢ / Σⱼ alphaⱼ``, equal reverse prompts merged,
        under the first one's safe prompt and the longest horizon of all that fire.

        Args:
            assessment: the scores; None is allowed only where the policy is ungated.
            messages_digest: digest of the messages that were scored.
        """
        if self.ungated is not None:
            return self._steer([("", 1.0, self.ungated)], "steers every conversation, ungated", messages_digest)
        if assessment is None:
            return self.decide_unscored("not scored", messages_digest)
        fired = [
            (label, score, band)
            for label, score in assessment.scores.items()
            if (band := self.rules[label].band(score)) is not None
        ]
        strictest = max((strictness(band.action) for _, _, band in fired), default=0)
        if strictest == 0:
            return replace(self._decision("allow", "no rule fired", messages_digest), assessment=assessment)
        firing = [entry for entry in fired if strictness(entry[2].action) == strictest]
        # Sorting is stable and scores come in taxonomy order, the last criterion.
        firing.sort(key=self._rank, reverse=True)
        reason = "; ".join(
            f"{label} scored {score:.2f}, at or above {band.at:.2f}: {band.action}" for label, score, band in firing
        )
        first = firing[0][2]
        if first.action == "steer":
            decision = self._steer(firing, reason, messages_digest)
        else:
            message = first.message if first.action == "refuse" else None
            decision = replace(self._decision(first.action, reason, messages_digest), message=message)
        return replace(
            decision,
            hazards=tuple(label for label, _, _ in firing if label in HAZARDS),
            attacks=tuple(label for label, _, _ in firing if label in ATTACKS),
            assessment=assessment,
        )

    def scoring_time(self, characters: int) -> float | None:
        """How long scoring so many characters may take, in seconds: ``timeout_s · (1 + characters / 1000)``."""
        return None if self.timeout_s is None else self.timeout_s * (1.0 + characters / TIMEOUT_CHARACTERS)

    def decide_unscored(self, why: str, messages_digest: str) -> Decision:
        """The decision where the classifier failed: what ``classifier.on_error`` says, never ``allow``."""
        reason = f"risk could not be scored ({why}): {self.on_error}"
        message = "refusal" if self.on_error == "refuse" else None
        return replace(self._decision(self.on_error, reason, messages_digest), message=message)

    def safe_prompt(self, prompt_id: str, language: str = FALLBACK_LANGUAGE) -> str:
        """Text of a safe prompt, in English where it has no such language."""
        return _localised(self.safe_prompts[prompt_id], language)

    def reverse_prompt(self, prompt_id: str, language: str = FALLBACK_LANGUAGE) -> str:
        """Text of a reverse prompt, likewise; never to be shown or logged."""
        return _localised(self.reverse_prompts[prompt_id], language)

    def message(self, message_id: str, language: str = FALLBACK_LANGUAGE) -> str:
        """Text of a message to the user, likewise."""
        return _localised(self.messages[message_id], language)

    def _rank(self, entry: tuple[str, float, Band]) -> tuple[float, int, float]:
        label, score, band = entry
        return band.alpha_if_steering, SEVERITIES.index(self.rules[label].severity), score

    def _steer(self, firing: list[tuple[str, float, Band]], reason: str, messages_digest: str) -> Decision:
        bands = [band for _, _, band in firing[:MAX_STEERING_HAZARDS]]
        longest = max((band for _, _, band in firing), key=lambda band: band.reach)
        total = min(bands[0].alpha, self.max_total_alpha)
        alphas: dict[str, float] = {}
        for band in bands:
            share = total * (band.alpha / sum(b.alpha for b in bands))
            alphas[band.reverse_prompt] = alphas.get(band.reverse_prompt, 0.0) + share
        return replace(
            self._decision("steer", reason, messages_digest),
            branches=tuple(alphas.items()),
            safe_prompt=bands[0].safe_prompt,
            horizon=longest.horizon,
        )

    def _decision(self, action: Action, reason: str, messages_digest: str) -> Decision:
        return Decision(action, reason, self.digest, messages_digest)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else asdict(value)


@cache
def _default() -> Policy:
    with as_file(files("rose_guard.policy").joinpath("default.yaml")) as path:
        return Policy(**resolve(PolicyDocument.read(path), None))


def _localised(texts: Mapping[str, str], language: str) -> str:
    return texts.get(language) or texts[FALLBACK_LANGUAGE]
