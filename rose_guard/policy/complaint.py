"""Complaint: one mistake in a file, and where it is. Also pydantic's complaints in an author's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from rose_guard.policy.spelling import did_you_mean, is_name, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pydantic_core import ErrorDetails

Path_ = tuple["str | int", ...]
Place = tuple[int, int]
"""Line and column, from 1."""

_SHAPES = {
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "list_type": "must be a list",
    "string_type": "must be a text",
}
_STRENGTHS = ("alpha", "restart_alpha", "max_total_alpha")


@dataclass(frozen=True, slots=True)
class Complaint:
    """One mistake.

    Args:
        path: keys and indices that lead to it.
        message: what is wrong, and how to mend it.
        place: line and column, where they are not those of the path.
    """

    path: Path_
    message: str
    place: Place | None = None

    def __str__(self) -> str:
        """The path and the message, for what comes from no file."""
        return f"{'.'.join(map(str, self.path))}: {self.message}" if self.path else self.message


def in_words(details: Iterable[ErrorDetails], model: type[BaseModel], private: Collection[str]) -> list[Complaint]:
    """Pydantic's complaints in an author's words.

    Args:
        details: the complaints.
        model: what was validated.
        private: top-level keys whose values are never repeated.
    """
    return [_in_words(detail, model, private) for detail in details]


def _in_words(detail: ErrorDetails, model: type[BaseModel], private: Collection[str]) -> Complaint:
    path: Path_ = tuple(part for part in detail["loc"] if part != "[key]")
    name = str(path[-1]) if path else ""
    message = _SHAPES.get(detail["type"], str(detail["msg"]).removeprefix("Value error, "))
    if detail["type"] == "extra_forbidden":
        return Complaint(path, _unknown_key(path, model))
    if detail["type"] == "missing":
        return Complaint(path, f"`{name}` is missing")
    if "[key]" in detail["loc"] or detail["type"] == "value_error":
        return Complaint(path, message)
    where = ".".join(str(part) if is_name(str(part)) else "…" for part in path)
    given = detail["input"]
    # Only short values are repeated, and no prompt or message ever.
    repeated = isinstance(given, str | int | float) and path[0] not in private
    not_this = f", not {shown(given) if isinstance(given, str) else _short(given)}" if repeated else ""
    hint = _hint(given) if name in _STRENGTHS else ""
    return Complaint(path, f"{where}: {message[0].lower()}{message[1:]}{not_this}{hint}")


def _unknown_key(path: Path_, model: type[BaseModel]) -> str:
    key = str(path[-1])
    if path[0] == "tenants" and (key == "locked" or key in model.model_fields):
        return f"a tenant cannot set {key!r}; only the policy itself can, for all"
    known = _model_at(model, path[:-1])
    return f"unknown key {shown(key)}{did_you_mean(key, known.model_fields if known else ())}"


def _hint(alpha: Any) -> str:
    if isinstance(alpha, bool) or not isinstance(alpha, int | float):
        return ""
    if alpha < 0:
        return "; a negative alpha would decode towards the reverse prompt"
    if alpha == 0:
        return "; for plain decoding use `action: allow`"
    return "; from 1 on, the reverse prompt outweighs the safe one" if alpha >= 1 else ""


def _short(number: object) -> str:
    text = str(number)
    return text if len(text) <= 24 else f"{text[:16]}…"  # noqa: PLR2004 - as many as a float may have


def _model_at(annotation: Any, path: Path_) -> type[BaseModel] | None:
    """The model that a path leads to, below a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not path:
            return annotation
        field = annotation.model_fields.get(str(path[0]))
        return _model_at(field.annotation, path[1:]) if field else None
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (dict, list):
        return _model_at(args[-1], path[1:]) if path else None
    return next((found for arg in args if (found := _model_at(arg, path))), None)
