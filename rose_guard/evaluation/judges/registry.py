"""The judges by name, each made from what follows its name and a colon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rose_guard.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rose_guard.evaluation.judge import Judge

_GRADE_TOKENS = 128


def _pattern(rest: str) -> Judge:
    from rose_guard.evaluation.judges.pattern import PatternJudge

    _check_nothing("pattern", rest)
    return PatternJudge()


def _gold(rest: str) -> Judge:
    from rose_guard.evaluation.judges.gold import GoldJudge

    _check_nothing("gold", rest)
    return GoldJudge()


def _embedded(rest: str) -> Judge:
    from rose_guard.evaluation.judges.embedded import EmbeddedJudge

    _check_nothing("embedded", rest)
    return EmbeddedJudge.shipped()


def _guard_model(rest: str) -> Judge:
    from rose_guard.evaluation.judges.guard_model import GuardModelJudge

    _check_given(
        "guard-model", rest, "hub id or folder of a guard model, such as guard-model:meta-llama/Llama-Guard-3-8B"
    )
    return GuardModelJudge.from_pretrained(rest)


def _chat_model(rest: str) -> Judge:
    from rose_guard.evaluation.judges.chat_model import ChatModelJudge
    from rose_guard.langchain.chat_model import ChatRose

    _check_given(
        "chat-model", rest, "hub id or folder of a local chat model; for a hosted one make a ChatModelJudge in Python"
    )
    model = ChatRose.from_pretrained(rest, policy=None, temperature=0.0, max_tokens=_GRADE_TOKENS)
    return ChatModelJudge(model, model_id=rest, structured=False)


def _human(rest: str) -> Judge:
    from rose_guard.evaluation.judges.human import HumanJudge

    _check_given("human", rest, "file of labels, such as human:labels.csv")
    return HumanJudge.from_file(Path(rest))


JUDGES: dict[str, Callable[[str], Judge]] = {
    "pattern": _pattern,
    "gold": _gold,
    "embedded": _embedded,
    "guard-model": _guard_model,
    "chat-model": _chat_model,
    "human": _human,
}


def named_judge(text: str) -> Judge:
    """A judge by its name.

    Args:
        text: ``pattern``, ``gold``, ``embedded``, ``guard-model:ID``, ``chat-model:ID`` or ``human:FILE``.

    Raises:
        SettingsError: if there is no such judge, or what it is made of is missing.
        ModelLoadError: if its model cannot be loaded.
        InputError: if its file cannot be read.
    """
    name, _, rest = text.partition(":")
    if name not in JUDGES:
        raise SettingsError(f"no judge is called {name!r}; known are: {', '.join(JUDGES)}")
    return JUDGES[name](rest)


def _check_nothing(name: str, rest: str) -> None:
    if rest:
        raise SettingsError(f"the judge {name} takes nothing after its name; write {name} alone")


def _check_given(name: str, rest: str, what: str) -> None:
    if not rest:
        raise SettingsError(f"the judge {name} needs more: write {name}: and the {what}")
