"""Record: what one arm made of one example, as one line of a run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """One answer of a run, or one set of likelihoods.

    Attributes:
        task: name of the task.
        arm: name of the arm.
        example: id of the example.
        kind: of the example.
        hazard: of the example.
        label: of the example.
        action: what was decided: allow, steer, refuse or block.
        alpha: total strength of the contrast.
        text: the answer; empty for a block and for likelihoods.
        finish_reason: stop, length, content_filter or block.
        input_tokens: read by the positive branch.
        output_tokens: decoded.
        contrasted_tokens: chosen with every reverse branch.
        seconds: of this example's share of the batch, wall-clock.
        option_logprobs: for a choice, the log-likelihood of each option under the arm.
        safe_logprobs: of each safe reference answer, teacher-forced under the arm, per token.
        unsafe_logprobs: likewise of each unsafe one.
        instructed: whether it is measured if the answer follows its instruction: the prompt holds another order too.
        plain_logprob: of the answer under the plain model, per token; None where nothing was decoded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: str
    arm: str
    example: str
    kind: str
    hazard: str | None = None
    label: str = ""
    action: str = "allow"
    alpha: float = 0.0
    text: str = Field(default="", repr=False)
    finish_reason: str = "stop"
    input_tokens: int = 0
    output_tokens: int = 0
    contrasted_tokens: int = 0
    seconds: float = 0.0
    option_logprobs: tuple[float, ...] = ()
    safe_logprobs: tuple[float, ...] = ()
    unsafe_logprobs: tuple[float, ...] = ()
    instructed: bool = False
    plain_logprob: float | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """By which a run knows what is done: nothing is answered twice, nothing is counted twice."""
        return self.task, self.arm, self.example
