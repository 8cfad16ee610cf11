"""The shape of a policy file. Every key is named here; any other is a mistake."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from rose_guard.policy.decision import Action
from rose_guard.policy.spelling import did_you_mean
from rose_guard.taxonomy import ATTACKS, HAZARDS

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")

Probability = Annotated[float, Field(ge=0.0, le=1.0, strict=True)]
Alpha = Annotated[float, Field(gt=0.0, lt=1.0, strict=True)]
Texts = Annotated[dict[str, str], Field(min_length=1)]
"""The same text by language code, ``en`` among them."""


def _known(kind: str, labels: dict[str, str]) -> Any:
    def check(label: str) -> str:
        if label not in labels:
            raise ValueError(f"unknown {kind} {label!r}{did_you_mean(label, labels)}")
        return label

    return AfterValidator(check)


Hazard = Annotated[str, _known("hazard", HAZARDS)]
Attack = Annotated[str, _known("attack", ATTACKS)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class BandEntry(_Strict):
    """From score ``at`` upwards, this happens; keys left out come from the rule, then from ``defaults``."""

    at: Probability
    action: Action
    alpha: Alpha | None = None
    horizon: int | None = Field(default=None, ge=1)
    safe_prompt: str | None = None
    reverse_prompt: str | None = None
    message: str | None = None


class RuleEntry(_Strict):
    """What to do about one hazard or attack: one threshold and action, or several bands."""

    threshold: Probability | None = None
    action: Action | None = None
    bands: list[BandEntry] | None = Field(default=None, min_length=1)
    alpha: Alpha | None = None
    horizon: int | None = Field(default=None, ge=1)
    safe_prompt: str | None = None
    reverse_prompt: str | None = None
    message: str | None = None
    severity: Severity | None = None
    locked: bool = False

    @model_validator(mode="after")
    def _bands_rise(self) -> RuleEntry:
        if self.bands is None:
            return self
        if self.threshold is not None or self.action is not None:
            raise ValueError("give either `bands` or `threshold` and `action`, not both")
        ats = [band.at for band in self.bands]
        if ats != sorted(set(ats)):
            raise ValueError("bands must be listed with rising `at`")
        return self


class Defaults(_Strict):
    """What a listed hazard or attack gets for the keys that it leaves out."""

    threshold: Probability = 0.7
    action: Action = "steer"
    alpha: Alpha = 0.5
    horizon: int | None = Field(default=None, ge=1)
    safe_prompt: str = "generic"
    reverse_prompt: str = "generic"
    message: str = "refusal"
    severity: Severity = "medium"


class ClassifierEntry(_Strict):
    """Which classifier a policy is written for, and what happens when it fails.

    Steering is no answer to a failure: locked hazards, which may be at stake, are never steered.
    """

    name: str = "embedded"
    timeout_s: float = Field(default=2.0, gt=0.0)
    on_error: Literal["refuse", "block"] = "refuse"


class PolicyFile(_Strict):
    """A whole policy file."""

    version: Literal[1]
    mode: Literal["enforce"] = "enforce"
    classifier: ClassifierEntry = ClassifierEntry()
    max_total_alpha: Alpha = 0.7
    defaults: Defaults = Defaults()
    safe_prompts: dict[str, Texts] = Field(default_factory=dict)
    reverse_prompts: dict[str, Texts] = Field(default_factory=dict)
    messages: dict[str, Texts] = Field(default_factory=dict)
    hazards: dict[Hazard, RuleEntry] = Field(default_factory=dict)
    attacks: dict[Attack, RuleEntry] = Field(default_factory=dict)
