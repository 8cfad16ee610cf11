"""What a person sees: scores, decisions and answers, in colour on a terminal and as plain text in a pipe."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rose_guard.assessment import RiskAssessment
    from rose_guard.errors import PolicyViolation
    from rose_guard.guard import Answer, Piece
    from rose_guard.policy.decision import Decision

SHOWN_SCORES = 4
LABEL_WIDTH = 8
_COLOURS = {"allow": "green", "steer": "yellow", "refuse": "red", "block": "bold red"}


class Screen:
    """Writes results to standard output and progress to standard error."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(stderr=True)

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """Say on a terminal what is being done."""
        if not self._err.is_terminal:
            yield
            return
        with self._err.status(what):
            yield

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """A bar on a terminal; what is given takes how much is done, and of how much."""
        with Progress(console=self._err, disable=not self._err.is_terminal, transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Rows under their heads."""
        table = Table(*heads, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row)
        self._out.print(table)

    def prompt(self, text: str) -> None:
        """Head the results of one prompt."""
        self._out.print()
        self._out.rule(Text(text, style="bold", overflow="ellipsis"), align="left")

    def scores(self, assessment: RiskAssessment) -> None:
        """The probability of harm and the highest scores below it."""
        ranked = sorted(assessment.scores.items(), key=lambda item: -item[1])[:SHOWN_SCORES]
        table = Table.grid(padding=(0, 1))
        table.add_column(width=LABEL_WIDTH)
        for label, score in [("harmful", assessment.harmful), *ranked]:
            table.add_row("", label, _bar(score), f"{score:.2f}")
        self._out.print(table)

    def decision(self, decision: Decision) -> None:
        """What was decided, how strongly, and why."""
        contrast = f"with alpha {decision.alpha:.2f} against {_ids(decision)}: " if decision.branches else ""
        action = Text(decision.action, style=_COLOURS[decision.action])
        self._out.print(self._beside(action, Text(contrast + decision.reason)))

    def answer(self, title: str, pieces: Iterable[Piece]) -> Answer:
        """Print an answer, on a terminal as it comes, then how fast it was."""
        from rose_guard.guard import Answer

        label, body = Text(title, style="bold cyan"), Text()
        shown: list[Piece] = []
        with Live(console=self._out, vertical_overflow="visible") if self._out.is_terminal else nullcontext() as live:
            for piece in pieces:
                shown.append(piece)
                body.append(piece.text)
                if live:
                    live.update(self._beside(label, body))
            body.append(f" ({speed_in_words(Answer.of(shown))})", style="dim")
            if live:
                live.update(self._beside(label, body))
        if not live:
            self._out.print(self._beside(label, body))
        return Answer.of(shown)

    def blocked(self, violation: PolicyViolation) -> None:
        """Say that there is no answer, and why."""
        self._out.print(self._beside(Text("blocked", style="bold red"), Text(violation.reason)))

    def text(self, pieces: Iterable[Piece]) -> None:
        """Print nothing but an answer's text."""
        for piece in pieces:
            self._out.print(Text(piece.text), end="")
        self._out.print()

    def _beside(self, label: Text, body: Text) -> RenderableType:
        """A label and what belongs to it: in columns on a terminal, on one line in a pipe."""
        if not self._out.is_terminal:
            return Text.assemble(label, " ", body)
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=LABEL_WIDTH, justify="right")
        grid.add_column(overflow="fold")
        grid.add_row(label, body)
        return grid


def tokens_per_second(answer: Answer) -> float | None:
    """Tokens generated over time in the engine; None where the model did not run."""
    usage, timing = answer.last.delta.usage, answer.last.delta.timing
    return usage.output_tokens / timing.seconds if usage and usage.output_tokens and timing else None


def speed_in_words(answer: Answer) -> str:
    """Speed, and what the contrast changed."""
    speed = tokens_per_second(answer)
    if speed is None:
        return "the model did not run"
    contrast = answer.last.delta.contrast
    if contrast is None or not contrast.contrasted_tokens:
        return f"{speed:.1f} tokens/s"
    changed = f"{contrast.changed_tokens} of {contrast.contrasted_tokens} tokens changed by the contrast"
    return f"{speed:.1f} tokens/s, {changed}"


def _bar(score: float, width: int = 20) -> str:
    filled = round(score * width)
    return f"[{'red' if score >= 0.5 else 'green'}]{'━' * filled}[/][dim]{'─' * (width - filled)}[/]"  # noqa: PLR2004


def _ids(decision: Decision) -> str:
    return " and ".join(repr(prompt_id) for prompt_id, _ in decision.branches)
