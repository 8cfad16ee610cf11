"""RoseSettings: how the next token is chosen from the branches' logits. A plain value; imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rose_guard.errors import SettingsError

if TYPE_CHECKING:
    from pydantic import ModelWrapValidatorHandler

SAMPLING_BETA = 0.1


class RoseSettings(BaseModel):
    """Settings of one generation; frozen and checked.

    ``scores = l⁺ − Σᵢ alphaᵢ · l⁻ᵢ`` over raw logits (arXiv 2402.11889), with ``Σ alphaᵢ = alpha``.

    Raises:
        SettingsError: if a value is unknown, not finite or out of its range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    alpha: float = Field(default=0.5, ge=0.0, lt=1.0)
    """Total strength of the contrast over all reverse branches; 0 is plain decoding."""
    beta: float | None = Field(default=None, ge=0.0, le=1.0)
    """Plausibility: only tokens with ``p⁺ ≥ beta · max p⁺`` may be chosen (Li et al. 2022, arXiv 2210.15097).
    None means 0 (the paper's rule) when decoding greedily and 0.1 when sampling."""
    horizon: int | None = Field(default=None, ge=1)
    """Contrast only the first so many tokens, then decode plainly; None contrasts all of them."""
    normalised: bool | None = None
    """Divide the scores by ``1 − alpha``, so that a temperature keeps its usual meaning; greedy choices are the
    same either way. None means no when decoding greedily and yes when sampling."""
    temperature: float | None = Field(default=None, ge=0.0)
    """0 is greedy; None follows the model's own generation_config, as the sampling settings below do."""
    top_k: int | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    min_p: float | None = Field(default=None, ge=0.0, le=1.0)
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """Seed of the draws; None draws anew each time. Greedy decoding has no draws."""

    @model_validator(mode="wrap")
    @classmethod
    def _raise_settings_error(cls, data: Any, handler: ModelWrapValidatorHandler[RoseSettings]) -> RoseSettings:
        try:
            return handler(data)
        except ValidationError as error:
            raise SettingsError("; ".join(_complaints(error))) from None

    def updated(self, **changes: Any) -> RoseSettings:
        """A checked copy with some values changed (pydantic's ``model_copy`` would not check them)."""
        return RoseSettings(**{**self.model_dump(), **changes})


def _complaints(error: ValidationError) -> list[str]:
    return [f"{'.'.join(str(part) for part in e['loc'])} = {e['input']!r}: {e['msg']}" for e in error.errors()]
