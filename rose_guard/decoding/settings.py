"""RoseSettings: how the next token is chosen from the branches' logits. A plain value; imports no torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rose_guard.errors import SettingsError

if TYPE_CHECKING:
    from pydantic import ModelWrapValidatorHandler

SAMPLING_BETA = 0.1


class CheckedSettings(BaseModel):
    """Settings that are frozen, and whose mistakes are SettingsError."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _raise_settings_error(cls, data: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        try:
            return handler(data)
        except ValidationError as error:
            raise SettingsError("; ".join(_complaints(error))) from None


class RoseSettings(CheckedSettings):
    """Settings of one generation; frozen and checked.

    ``scores = l⁺ − Σᵢ alphaᵢ · l⁻ᵢ`` over raw logits (arXiv 2402.11889), with ``Σ alphaᵢ = alpha``.

    Raises:
        SettingsError: if a value is unknown, not finite or out of its range.
    """

    alpha: float = Field(default=0.5, ge=0.0, lt=1.0)
    """Total strength of the contrast over all reverse branches; 0 is plain decoding."""
    beta: float | None = Field(default=None, ge=0.0, le=1.0)
    """Plausibility: only tokens with ``p⁺ ≥ beta · max p⁺`` may be chosen (Li et al. 2022, arXiv 2210.15097).
    None means 0 (the paper's rule) when decoding greedily and 0.1 when sampling."""
    horizon: int | None = Field(default=None, ge=1)
    """Contrast only the first so many tokens, then decode plainly; None contrasts all of them."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How alpha falls over the horizon m: not at all; ``alpha · (1 − t/m)``; or ``alpha · (1 + cos(π · t/m)) / 2`` at
    token t = 0, 1 … (guidance in a limited interval, arXiv 2404.07724)."""
    normalised: bool | None = None
    """Divide the scores by ``1 − alpha``, so that a temperature keeps its usual meaning; greedy choices without
    penalties and bias are the same either way. None means no when decoding greedily and yes when sampling."""
    temperature: float | None = Field(default=None, ge=0.0)
    """0 is greedy; None follows the model's own generation_config, as the sampling settings below do."""
    top_k: int | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    min_p: float | None = Field(default=None, ge=0.0, le=1.0)
    repetition_penalty: float | None = Field(default=None, gt=0.0)
    """Scores of tokens seen before are divided by this where positive and multiplied where negative (CTRL, arXiv
    1909.05858); above 1 discourages. None follows the model's generation_config."""
    presence_penalty: float = Field(default=0.0, ge=-2.0, le=2.0)
    """Taken off the score of every token that the answer holds already (OpenAI's API)."""
    frequency_penalty: float = Field(default=0.0, ge=-2.0, le=2.0)
    """Taken off the score of a token once for each time that the answer holds it (OpenAI's API)."""
    logit_bias: dict[int, Annotated[float, Field(ge=-100.0, le=100.0)]] = Field(default_factory=dict)
    """Added to the scores of these token ids (OpenAI's API)."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """Seed of the draws; None draws anew each time. Greedy decoding has no draws."""

    @model_validator(mode="after")
    def _check_schedule(self) -> RoseSettings:
        if self.schedule != "constant" and self.horizon is None:
            raise ValueError(f"schedule={self.schedule!r} needs a horizon to fall over")
        return self

    def updated(self, **changes: Any) -> RoseSettings:
        """A checked copy with some values changed (pydantic's ``model_copy`` would not check them)."""
        return RoseSettings(**{**self.model_dump(), **changes})

    def strength(self, position: int) -> float:
        """The share of alpha, 0 to 1, that the answer's token at this position is contrasted with."""
        if self.horizon is None:
            return 1.0
        if position >= self.horizon:
            return 0.0
        fallen = position / self.horizon
        return {"constant": 1.0, "linear": 1.0 - fallen, "cosine": (1.0 + math.cos(math.pi * fallen)) / 2.0}[
            self.schedule
        ]


def _complaints(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(str(part) for part in e['loc'])} = {e['input']!r}: {e['msg']}" if e["loc"] else e["msg"]
        for e in error.errors()
    ]
