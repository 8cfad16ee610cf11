"""Row: one row of a data set, which says where it stands when it does not hold what it should.

What a row's cells hold is never part of a message: a file in the wrong shape may hold a prompt in any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rose_guard.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Row:
    """One row. Where a method takes several columns, they are names of the same one: the first that is filled counts.

    Args:
        place: the file and the line it begins on, for messages.
        number: which row it is, from 1.
        values: by column.
    """

    place: str
    number: int
    values: Mapping[str, Any] = field(repr=False)

    def has(self, column: str) -> bool:
        """Whether the row has something in the column."""
        return self.values.get(column) not in (None, "")

    def text(self, *columns: str) -> str:
        """The text in a column.

        Raises:
            InputError: if the column is missing, empty or holds no text.
        """
        value = self._value(columns)
        if not isinstance(value, str):
            raise self.wrong(columns, "holds no text")
        return self._readable(value, columns)

    def optional(self, *columns: str) -> str:
        """The text in a column; empty where there is none.

        Raises:
            InputError: if the column holds something else.
        """
        return self.text(*columns) if any(self.has(column) for column in columns) else ""

    def texts(self, *columns: str, separator: str | None = None) -> tuple[str, ...]:
        """The texts of a column that holds a list, or one text that a separator parts; blank ones are left out.

        Raises:
            InputError: if the column is missing or holds no list of texts.
        """
        value = self._value(columns)
        if isinstance(value, str) and separator is not None:
            value = value.split(separator)
        if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
            raise self.wrong(columns, "holds no list of texts")
        return tuple(self._readable(part.strip(), columns) for part in value if part.strip())

    def one_of(self, column: str, allowed: Collection[str]) -> str:
        """The text in a column that takes few values.

        Raises:
            InputError: if it holds another; the message lists those allowed.
        """
        if (text := self.text(column)) not in allowed:
            raise self.wrong((column,), f"holds none of {', '.join(allowed)}")
        return text

    def flag(self, column: str) -> bool:
        """The truth value in a column.

        Raises:
            InputError: if it is neither true nor false.
        """
        if not isinstance(value := self._value((column,)), bool):
            raise self.wrong((column,), "is neither true nor false")
        return value

    def index(self, column: str, count: int) -> int:
        """Which of so many options a column names, by its letter or its index from 0.

        Raises:
            InputError: if it names none of them.
        """
        value = self._value((column,))
        named = str(value).strip().upper()
        index = _LETTERS.find(named) if len(named) == 1 and named in _LETTERS else _whole_number(value)
        if index is None or not 0 <= index < count:
            raise self.wrong((column,), f"names none of the row's {count} options")
        return index

    def table(self, column: str) -> Row:
        """A column that holds columns of its own.

        Raises:
            InputError: if it holds none.
        """
        value = self._value((column,))
        if not isinstance(value, dict):
            raise self.wrong((column,), "holds no columns of its own")
        return Row(self.place, self.number, value)

    def key(self, task: str, *columns: str) -> str:
        """The row's id; where it has none, the task's name and the row's number.

        Raises:
            InputError: if the id cannot be written down.
        """
        for column in columns or ("id",):
            if isinstance(value := self.values.get(column), str | int) and str(value).strip():
                return self._readable(str(value), (column,))
        return f"{task}-{self.number}"

    def wrong(self, columns: Collection[str], what: str) -> InputError:
        """An error that names the place and the column."""
        names = " or ".join(f"`{column}`" for column in columns)
        return InputError(f"{self.place}: column {names} {what}")

    def _value(self, columns: tuple[str, ...]) -> Any:
        present = [column for column in columns if column in self.values]
        if not present:
            raise self.wrong(columns, "missing")
        value = next((self.values[column] for column in present if self.has(column)), None)
        if value is None or (isinstance(value, str) and not value.strip()):
            raise self.wrong(columns, "empty")
        return value

    def _readable(self, text: str, columns: tuple[str, ...]) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self.wrong(columns, "holds half a character (a lone surrogate)") from None
        return text


def _whole_number(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None
