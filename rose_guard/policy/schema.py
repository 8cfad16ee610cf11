"""The shape of a policy file. Every key is named here; any other is a mistake."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rose_guard.policy.decision import Action, Mode
from rose_guard.policy.escalation import MAX_AFTER, MAX_WITHIN_S
from rose_guard.policy.output_check import MAX_RESTARTS, MAX_WINDOW_TOKENS, MIN_WINDOW_TOKENS
from rose_guard.policy.rule import MAX_HORIZON
from rose_guard.policy.severity import Severity
from rose_guard.policy.spelling import did_you_mean, shown
from rose_guard.policy.tenants import MAX_TENANT_CHARACTERS, is_tenant
from rose_guard.policy.unsteerable import Unsteerable
from rose_guard.taxonomy import ATTACKS, HAZARDS

MAX_TIMEOUT_S = 3600.0
TEXT_GROUPS = ("safe_prompts", "reverse_prompts", "messages")
"""Keys below which texts stand, by id and language."""

Probability = Annotated[float, Field(ge=0.0, le=1.0), AfterValidator(lambda value: value + 0.0)]  # -0.0 is 0.0
Alpha = Annotated[float, Field(gt=0.0, lt=1.0)]
Horizon = Annotated[int, Field(ge=1, le=MAX_HORIZON)]
Texts = Annotated[dict[str, str], Field(min_length=1)]
"""The same text by language code, ``en`` among them."""


def _known(kind: str, labels: dict[str, str]) -> Any:
    def check(label: str) -> str:
        if label not in labels:
            raise ValueError(f"unknown {kind} {shown(label)}{did_you_mean(label, labels)}")
        return label

    return AfterValidator(check)


def _one(version: object) -> object:
    if type(version) is not int:  # true and 1.0 equal 1
        raise ValueError("version must be the whole number 1")
    return version


def _tenant(name: str) -> str:
    if not is_tenant(name):
        raise ValueError(
            f"a tenant's name has 1 to {MAX_TENANT_CHARACTERS} visible characters, and no blank at either end"
        )
    return name


Hazard = Annotated[str, _known("hazard", HAZARDS)]
Attack = Annotated[str, _known("attack", ATTACKS)]
Tenant = Annotated[str, AfterValidator(_tenant)]
Version = Annotated[Literal[1], BeforeValidator(_one)]


STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True, use_attribute_docstrings=True)
"""No key but those named, and values of exactly the type that is asked for."""


class _Strict(BaseModel):
    model_config = STRICT


class EscalationEntry(_Strict):
    """What repeated risky turns add to a rule."""

    after: int = Field(ge=1, le=MAX_AFTER)
    """How many earlier turns fired the rule; the next one escalates."""
    within_s: float = Field(gt=0.0, le=MAX_WITHIN_S)
    """How far back turns count, in seconds."""
    action: Literal["refuse", "block"] | None = None
    """The rule's action then, where it is stricter than the band's."""
    notify: bool = False
    """Ask for a human."""

    @model_validator(mode="after")
    def _does_something(self) -> EscalationEntry:
        if self.action is None and not self.notify:
            raise ValueError("an escalation does something: give an `action`, `notify: true`, or both")
        return self


class _Effect(_Strict):
    """What a rule or one of its bands does beside its action."""

    alpha: Alpha | None = None
    """Strength of the contrast, when steering."""
    horizon: Horizon | None = None
    """Contrast only the first so many tokens, when steering."""
    safe_prompt: str | None = None
    """Id of the positive branch's system prompt."""
    reverse_prompt: str | None = None
    """Id of the reverse branch's system prompt."""
    message: str | None = None
    """Id of what a refusal says."""


class BandEntry(_Effect):
    """From score ``at`` upwards, this happens; keys left out come from the rule, then from ``defaults``."""

    at: Probability
    """The band holds from this score up to the next band."""
    action: Action
    """What happens then."""


class TenantRuleEntry(_Effect):
    """How a tenant's rule for a hazard or attack differs from the policy's own."""

    threshold: Probability | None = None
    """The rule fires at this score and above; not together with `bands`."""
    action: Action | None = None
    """What happens then; not together with `bands`."""
    bands: list[BandEntry] | None = Field(default=None, min_length=1)
    """Several steps instead of one, by rising `at`."""
    severity: Severity | None = None
    """Ranks rules that steer, or refuse, together."""
    escalate: EscalationEntry | None = None
    """What repeated risky turns add."""

    @model_validator(mode="after")
    def _bands_rise(self) -> TenantRuleEntry:
        if self.bands is None:
            return self
        if self.threshold is not None or self.action is not None:
            raise ValueError("give either `bands` or `threshold` and `action`, not both")
        ats = [band.at for band in self.bands]
        if ats != sorted(set(ats)):
            raise ValueError("bands must be listed with rising `at`")
        return self


class RuleEntry(TenantRuleEntry):
    """What to do about one hazard or attack: one threshold and action, or several bands."""

    locked: bool = False
    """Whoever inherits the rule, tenants among them, may not weaken it; shadow mode does not suspend it."""


class TenantEntry(_Strict):
    """A tenant's rules, as far as they differ from the policy's own."""

    hazards: dict[Hazard, TenantRuleEntry] = Field(default_factory=dict)
    """What differs, by hazard."""
    attacks: dict[Attack, TenantRuleEntry] = Field(default_factory=dict)
    """What differs, by attack."""


class Defaults(_Strict):
    """What a listed hazard or attack gets for the keys that it leaves out."""

    threshold: Probability = 0.7
    """The rule fires at this score and above."""
    action: Action = "steer"
    """What happens then."""
    alpha: Alpha = 0.7
    """Strength of the contrast, when steering."""
    horizon: Horizon | None = None
    """Contrast only the first so many tokens, when steering."""
    safe_prompt: str = "generic"
    """Id of the positive branch's system prompt."""
    reverse_prompt: str = "generic"
    """Id of the reverse branch's system prompt."""
    message: str = "refusal"
    """Id of what a refusal says."""
    severity: Severity = "medium"
    """Ranks rules that steer, or refuse, together."""


class ClassifierEntry(_Strict):
    """Which classifier a policy is written for, and what happens when it fails.

    Steering is no answer to a failure: locked hazards, which may be at stake, are never steered.
    """

    name: str = Field(default="embedded", min_length=1)
    """The classifier that the thresholds were chosen for."""
    timeout_s: float = Field(default=2.0, gt=0.0, le=MAX_TIMEOUT_S)
    """How long scoring a short conversation may take, in seconds."""
    on_error: Literal["refuse", "block"] = "refuse"
    """What happens to a conversation that could not be scored."""


class OutputEntry(_Strict):
    """Whether and how answers are checked while they are written."""

    enabled: bool = False
    """Whether they are."""
    threshold: Probability = 0.87
    """An answer is harmful from this score on."""
    action: Literal["refuse", "restart"] = "refuse"
    """End a harmful answer with the message, or write it again under a stronger contrast."""
    message: str = "refusal"
    """Id of the message that ends it."""
    window_tokens: int = Field(default=64, ge=MIN_WINDOW_TOKENS, le=MAX_WINDOW_TOKENS)
    """How many tokens are judged together."""
    hold_back_tokens: int = Field(default=32, ge=1)
    """How many tokens wait for the check before they are shown; at most `window_tokens`."""
    restarts: int = Field(default=1, ge=1, le=MAX_RESTARTS)
    """How often an answer is begun again; only with `action: restart`."""
    restart_alpha: Alpha = 0.7
    """Total alpha of the first restart; at most `max_total_alpha`."""
    reverse_prompt: str = "generic"
    """Id of what a restart steers away from, where the decision did not steer."""
    safe_prompt: str = "generic"
    """Id of the positive branch's system prompt there."""
    on_error: Literal["refuse", "block"] = "refuse"
    """What happens to an answer that could not be checked."""

    @model_validator(mode="after")
    def _restarts_if_told_to(self) -> OutputEntry:
        if "restarts" in self.model_fields_set and self.action != "restart":
            raise ValueError("`restarts` goes with `action: restart` only; leave it out, or set the action")
        return self


class PolicyFile(_Strict):
    """A whole policy file."""

    version: Version
    """Version of this format."""
    mode: Mode = "enforce"
    """`shadow` decides but lets only locked rules act."""
    classifier: ClassifierEntry = ClassifierEntry()
    """Which classifier the policy is written for."""
    max_total_alpha: Alpha = 0.7
    """Ceiling of a decision's total alpha."""
    on_audit_error: Literal["refuse", "block"] = "refuse"
    """What happens when a decision could not be put on record."""
    unsteerable: Unsteerable = "refuse"
    """What happens to a conversation that is to be steered where the model cannot be."""
    defaults: Defaults = Defaults()
    """What a listed rule gets for keys that it leaves out."""
    safe_prompts: dict[str, Texts] = Field(default_factory=dict)
    """System prompts of the positive branch, by id and language."""
    reverse_prompts: dict[str, Texts] = Field(default_factory=dict)
    """System prompts to steer away from, by id and language."""
    messages: dict[str, Texts] = Field(default_factory=dict)
    """What a refusal says, by id and language."""
    output: OutputEntry = OutputEntry()
    """Whether and how answers are checked."""
    hazards: dict[Hazard, RuleEntry] = Field(default_factory=dict)
    """One rule per hazard."""
    attacks: dict[Attack, RuleEntry] = Field(default_factory=dict)
    """One rule per attack."""
    tenants: dict[Tenant, TenantEntry] = Field(default_factory=dict)
    """What differs for whom."""
