"""OutputCheck: what a policy says of the answer itself, as it is written. Values only; who checks stands elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rose_guard.policy.ranges import is_between, is_from_to, is_whole

MIN_WINDOW_TOKENS = 8
MAX_WINDOW_TOKENS = 100_000
MAX_RESTARTS = 5


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """Whether and how answers are checked while they are written.

    Args:
        enabled: whether they are.
        threshold: an answer is harmful from this score on.
        action: ``refuse`` ends a harmful answer with ``message``; ``restart`` writes it again under a stronger
            contrast, and refuses what that cannot mend.
        message: id of the message that ends it.
        window_tokens: how many tokens are judged together.
        hold_back_tokens: how many tokens wait for the check before they are shown.
        restarts: how often an answer is begun again.
        restart_alpha: total alpha of the first restart.
        reverse_prompt: id of what a restart steers away from, where the decision did not steer.
        safe_prompt: id of the positive branch's system prompt there.
        on_error: what happens to an answer that could not be checked.
    """

    enabled: bool = False
    threshold: float = 0.87
    action: Literal["refuse", "restart"] = "refuse"
    message: str = "refusal"
    window_tokens: int = 64
    hold_back_tokens: int = 32
    restarts: int = 1
    restart_alpha: float = 0.7
    reverse_prompt: str = "generic"
    safe_prompt: str = "generic"
    on_error: Literal["refuse", "block"] = "refuse"

    def problems(self, max_total_alpha: float) -> list[tuple[str, str]]:
        """Each key that is out of range, and how to mend it."""
        window, alpha, restarts = self.window_tokens, self.restart_alpha, self.action == "restart"
        laws = [
            ("enabled", isinstance(self.enabled, bool), "true or false"),
            ("threshold", is_from_to(self.threshold, 0.0, 1.0), "a number from 0 to 1"),
            ("action", self.action in ("refuse", "restart"), "'refuse' or 'restart'"),
            ("on_error", self.on_error in ("refuse", "block"), "'refuse' or 'block'"),
            (
                "window_tokens",
                is_whole(window, MIN_WINDOW_TOKENS, MAX_WINDOW_TOKENS),
                f"a whole number from {MIN_WINDOW_TOKENS} to {MAX_WINDOW_TOKENS}",
            ),
            (
                "hold_back_tokens",
                is_whole(self.hold_back_tokens, 1, window if is_whole(window, 1, MAX_WINDOW_TOKENS) else 1),
                f"a whole number from 1 to window_tokens, {window}",
            ),
            ("restarts", is_whole(self.restarts, 1, MAX_RESTARTS), f"a whole number from 1 to {MAX_RESTARTS}"),
            (
                "restart_alpha",
                is_between(alpha, 0.0, 1.0) and (not restarts or alpha <= max_total_alpha),
                f"above 0 and at most max_total_alpha, {max_total_alpha}; lower it, or raise the ceiling",
            ),
        ]
        return [(key, f"{key} must be {what}") for key, holds, what in laws if not holds]
