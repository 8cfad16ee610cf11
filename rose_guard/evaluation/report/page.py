"""Page: a report as one HTML file that loads nothing, runs nothing, and shows no example unasked."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from rose_guard.evaluation.report.tables import closing_tables, sections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Template

    from rose_guard.evaluation.report.answers import ShownExample
    from rose_guard.evaluation.report.curves import Curves
    from rose_guard.evaluation.summary import Summary

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
"""Controls, lone surrogates, and marks that reverse what is read: none may reach a page."""


def to_html(
    summary: Summary,
    *,
    title: str = "Evaluation",
    about: Mapping[str, str] | None = None,
    curves: Curves | None = None,
    answers: Sequence[ShownExample] = (),
) -> str:
    """The report as a page, to be written as UTF-8.

    Every text is escaped. The page's own policy forbids scripts and anything from elsewhere; drawings are in it.

    Args:
        summary: of the run.
        title: of the page.
        about: what else identifies the run, such as the model; no prompts.
        curves: of its points; the numbers stand in the tables too.
        answers: to be shown by example, each folded, and masked within where it may do harm.
    """
    style = _packaged("page.css")
    drawing = base64.b64encode(curves.svg).decode() if curves else ""
    return _template().render(
        title=title,
        part=summary.part or "all",
        about=about or {},
        notes=summary.notes,
        sections=sections(summary),
        closing=closing_tables(summary),
        curves=f"data:image/svg+xml;base64,{drawing}" if drawing else "",
        answers=answers,
        style=Markup(style),  # noqa: S704 - our own style sheet, and a browser reads no entities there
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def _printable(value: object) -> object:
    """What a page prints: markup of ours as it is, and text without characters that have no place in one."""
    return value if isinstance(value, Markup) else _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(value))


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_printable, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_packaged("page.html.jinja"))


def _packaged(name: str) -> str:
    return files("rose_guard.evaluation.report").joinpath(name).read_text(encoding="utf-8")
