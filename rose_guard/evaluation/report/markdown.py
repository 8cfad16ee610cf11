"""Markdown: a summary as a page of tables. Holds no answer and no question."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rose_guard.evaluation.report.tables import closing_tables, sections

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rose_guard.evaluation.report.tables import Table
    from rose_guard.evaluation.summary import Summary

_MARKUP = re.compile(r"[\\`*\[\]<>|&~#$]|(?<!\w)_|_(?!\w)")


def to_markdown(summary: Summary, *, title: str = "Evaluation", about: Mapping[str, str] | None = None) -> str:
    """The report as GitHub-flavoured Markdown.

    Args:
        summary: of the run.
        title: of the page.
        about: what else identifies the run, such as the model; no prompts.
    """
    lines = [f"# {escaped(title)}", "", f"Examples of the part: {summary.part or 'all'}.", ""]
    lines += [f"- {escaped(name)}: {escaped(value)}" for name, value in (about or {}).items()]
    lines += [f"- {escaped(note)}" for note in summary.notes]
    for section in sections(summary):
        lines += ["", f"## {escaped(section.title)}"]
        for table in section.tables:
            lines += _table(table)
    for table in closing_tables(summary):
        lines += _table(table, level=2)
    return "\n".join([*lines, ""])


def escaped(text: str) -> str:
    """A text in one line, in which nothing is markup."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def _table(table: Table, *, level: int = 3) -> Iterator[str]:
    yield from ("", f"{'#' * level} {escaped(table.title)}", "")
    for remark in table.remarks:
        yield from (escaped(remark), "")
    yield _row(table.header)
    yield _row(["---"] * len(table.header))
    for row in table.rows:
        yield _row([escaped(cell) for cell in row])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
