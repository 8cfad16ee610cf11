"""``rose-guard ask``: answer a prompt under the guard, plainly, or both side by side."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rose_guard.cli.prompts import Prompt, read_prompts

if TYPE_CHECKING:
    from rose_guard.cli.screen import Screen
    from rose_guard.guard import Answer, GenerationOptions, Guard
    from rose_guard.policy.policy import Policy


def ask(
    prompt: Annotated[str | None, typer.Argument(help="What to ask.")] = None,
    *,
    file: Annotated[
        Path | None, typer.Option(help='Ask many: one {"id", "text"} or {"id", "messages"} a line.')
    ] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Show the plain answer beside the guarded one.")] = False,
    no_guard: Annotated[bool, typer.Option("--no-guard", help="Decode plainly: no classifier, no policy.")] = False,
    policy: Annotated[Path | None, typer.Option(help="Policy file; the shipped policy unless given.")] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Steer every prompt this strongly, whatever its risk; above 0, below 1.")
    ] = None,
    reverse_prompt: Annotated[
        str | None, typer.Option(help="Steer every prompt against this reverse prompt of the shipped policy.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Hub id or folder; the embedded model unless given.")] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Limit of an answer, in tokens.")] = 256,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="0 is greedy; the model's own unless given.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the draws when sampling.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per prompt.")] = False,
) -> None:
    """Answer a prompt, guarded by the policy."""
    from rose_guard.cli.screen import Screen
    from rose_guard.decoding.settings import RoseSettings
    from rose_guard.guard import GenerationOptions, Guard

    ungated = alpha is not None or reverse_prompt is not None
    if no_guard + ungated + (policy is not None) > 1:
        raise typer.BadParameter("--no-guard, --policy and --alpha/--reverse-prompt exclude one another")
    if no_guard and compare:
        raise typer.BadParameter("--compare needs the guard; leave out --no-guard")
    if alpha is not None and not 0.0 < alpha < 1.0:
        raise typer.BadParameter("--alpha must be above 0 and below 1; --no-guard decodes plainly")
    prompts = read_prompts(prompt, file)
    chosen = _policy(no_guard=no_guard, file=policy, alpha=alpha, reverse_prompt=reverse_prompt)
    options = GenerationOptions(RoseSettings(temperature=temperature, seed=seed), max_new_tokens)

    screen = Screen()
    with screen.busy("Loading the model …"):
        guard = _guard(chosen, model)
    plain = Guard(guard.engine) if compare else None
    for item in prompts:
        if as_json:
            typer.echo(json.dumps(_as_data(item, guard, plain, options), ensure_ascii=False))
        elif compare or file is not None:
            _show(screen, item, guard, plain, options)
        else:
            screen.text(guard.stream(item.messages, options=options))


def _policy(*, no_guard: bool, file: Path | None, alpha: float | None, reverse_prompt: str | None) -> Policy | None:
    from rose_guard.policy.policy import Policy

    if no_guard:
        return None
    if file is not None:
        return Policy.load(file)
    asked: dict[str, Any] = {"alpha": alpha, "reverse_prompt": reverse_prompt}
    given = {name: value for name, value in asked.items() if value is not None}
    return Policy.always(**given) if given else Policy.default()


def _guard(policy: Policy | None, model: str | None) -> Guard:
    from rose_guard.langchain.chat_model import ChatRose

    llm = ChatRose(policy=policy) if model is None else ChatRose.from_pretrained(model, policy=policy)
    return llm.guard


def _show(screen: Screen, prompt: Prompt, guard: Guard, plain: Guard | None, options: GenerationOptions) -> None:
    """Scores, decision and answers of one prompt. A blocked prompt is shown as such, and the next one follows."""
    from rose_guard.errors import PolicyViolation

    screen.prompt(prompt.text)
    decision = guard.decide(prompt.messages)
    if decision.assessment is not None:
        screen.scores(decision.assessment)
    screen.decision(decision)
    if plain is not None:
        screen.answer("plain", plain.stream(prompt.messages, options=options))
    try:
        screen.answer("guarded", guard.stream(prompt.messages, options=options))
    except PolicyViolation as violation:
        screen.blocked(violation)


def _as_data(prompt: Prompt, guard: Guard, plain: Guard | None, options: GenerationOptions) -> dict[str, Any]:
    """One prompt's result; a blocked one has no text."""
    from rose_guard.errors import PolicyViolation
    from rose_guard.langchain.metadata import rose_metadata

    try:
        answer = guard.answer(prompt.messages, options=options)
    except PolicyViolation:
        blocked = guard.decide(prompt.messages)
        result = {"text": None, "usage": None, "rose": rose_metadata(blocked, None, debug=True)}
    else:
        rose = rose_metadata(answer.decision, answer.last, debug=True)
        result = {**_answer_data(answer), "rose": rose}
    return {
        **({"id": prompt.id} if prompt.id is not None else {}),
        **result,
        **({"plain": _answer_data(plain.answer(prompt.messages, options=options))} if plain else {}),
    }


def _answer_data(answer: Answer) -> dict[str, Any]:
    from rose_guard.cli.screen import tokens_per_second

    usage = answer.last.delta.usage
    return {
        "text": answer.text,
        "usage": asdict(usage) if usage else None,
        "tokens_per_second": tokens_per_second(answer),
    }
