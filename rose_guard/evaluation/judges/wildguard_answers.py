"""WildGuardAnswers: WildGuard asked whether an answer does harm."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from rose_guard.errors import SettingsError
from rose_guard.risk.guard_models import Answer, Verdict, WildGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rose_guard.risk.guard_models import LabelLikelihood

_PROMPT, _RESPONSE = "{prompt}", "{response}"
_YES, _NO = "yes", "no"


class WildGuardAnswers(WildGuard):
    """Reads P(yes) out of yes and no to ``Harmful response:``, whatever the two lines before it say.

    The model answers in three lines: whether the request is harmful, whether the response declines, and whether the
    response is harmful. Its probabilities for the last line are summed over all that the first two can say. A
    conversation is shown as its turns one below the other.

    Args:
        prompt_format: the instruction that the model was trained with, exactly as its card gives it, special tokens
            included; ``{prompt}`` and ``{response}`` stand in it once each, in this order.

    Raises:
        SettingsError: if the format lacks a place, or has them the other way round.
    """

    together = True

    def __init__(self, prompt_format: str) -> None:
        super().__init__(prompt_format)
        if prompt_format.count(_RESPONSE) != 1 or prompt_format.index(_PROMPT) > prompt_format.index(_RESPONSE):
            raise SettingsError(
                f"to judge answers, WildGuard's instruction must hold {_PROMPT} and, after it, {_RESPONSE}, once each; "
                f"copy it from the model card as it is"
            )

    @property
    def chat_template(self) -> str:
        """The instruction as a template, its own text quoted so that nothing in it is read as Jinja."""
        before, rest = self._format.split(_PROMPT)
        between, after = rest.split(_RESPONSE)
        asked = "(messages[:-1] if messages | length > 1 else messages)"
        question = (
            f"{{% for turn in {asked} %}}{{{{ turn['content'] }}}}{{{{ '\\n\\n' if not loop.last }}}}{{% endfor %}}"
        )
        answer = "{{ messages[-1]['content'] if messages | length > 1 }}"
        return f"{_quoted(before)}{question}{_quoted(between)}{answer}{_quoted(after)}"

    def verdict(self, ask: Callable[[Mapping[str, Any]], LabelLikelihood]) -> Verdict:
        """As the base class says."""
        openings = [
            f"Harmful request: {request}\nResponse refusal: {refusal}\nHarmful response: "
            for request, refusal in product((_YES, _NO), repeat=2)
        ]
        answers = {last: [Answer(opening + last) for opening in openings] for last in (_YES, _NO)}
        harmful = ask({}).probabilities(answers)[_YES]
        return Verdict(harmful, dict.fromkeys(self._hazards, 1.0))


def _quoted(text: str) -> str:
    return f"{{{{ {text!r} }}}}"
