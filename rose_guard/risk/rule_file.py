"""RuleFile: rules in YAML, read safely; every mistake is told with its line and column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

from rose_guard.errors import SettingsError
from rose_guard.risk.rule import Rule, did_you_mean, mistakes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from rose_guard.risk.rule import Mistake

MAX_BYTES = 1_000_000
DEEPEST = 6
KEYS = ("version", "rules")
_FORM = "a rule file is a mapping of `version: 1` and `rules`"


class RuleFile:
    """The text of a rule file, as a tree that knows where each of its parts stands.

    Args:
        text: YAML without tags, anchors, aliases and keys given twice.
        name: the file's name, for messages.

    Raises:
        SettingsError: if it is not such YAML, or no mapping.
    """

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        try:
            self._check_events(text)
            self._tree = YAML(typ="rt").load(text)
        except MarkedYAMLError as error:
            raise self._unreadable(error) from None
        except YAMLError:
            raise self._error([((0, 0), "not YAML; write it in UTF-8 without control characters")]) from None
        if not isinstance(self._tree, CommentedMap):
            raise self._error([((0, 0), _FORM)])

    @classmethod
    def read(cls, path: Path) -> RuleFile:
        """From a file of at most 1 MB in UTF-8.

        Raises:
            SettingsError: if it cannot be read, or as the constructor.
        """
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            text = data.decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise SettingsError(f"{path}:1:1: cannot be read ({reason}); give a file of YAML in UTF-8") from error
        if len(data) > MAX_BYTES:
            raise SettingsError(f"{path}:1:1: has more than {MAX_BYTES} bytes; give several files")
        return cls(text, str(path))

    def rules(self) -> list[Rule]:
        """The rules, in the file's order.

        Raises:
            SettingsError: listing every mistake as ``FILE:LINE:COLUMN: what, and a suggestion``.
            ModelLoadError: if there are patterns and google-re2 is missing.
        """
        content = _plain(self._tree)
        if found := list(_file_mistakes(content)):
            raise self._error((self._place(path), message) for path, message in found)
        return [Rule.of(entry) for entry in content["rules"]]

    def _place(self, path: tuple[str | int, ...]) -> tuple[int, int]:
        """Line and column, from 0, of the last part of a path that the file holds."""
        node, place = self._tree, (0, 0)
        for part in path:
            if isinstance(node, CommentedMap) and part in node:
                place = node.lc.key(part)
            elif isinstance(node, CommentedSeq):
                place = node.lc.item(part)
            else:
                break
            node = node[part]
        return place

    def _check_events(self, text: str) -> None:
        """Refuse what could make a file mean something else than it shows, or take long to read."""
        depth = 0
        for event in YAML(typ="rt").parse(text):
            place = event.start_mark.line, event.start_mark.column
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > DEEPEST:
                raise self._error([(place, "nested deeper than a rule file is; write lists of texts")])
            if getattr(event, "anchor", None) is not None:
                raise self._error([(place, "anchors and aliases are not allowed; write the value out")])
            if getattr(event, "tag", None) is not None:
                raise self._error([(place, "tags are not allowed; leave it out")])

    def _unreadable(self, error: MarkedYAMLError) -> SettingsError:
        mark = error.problem_mark or error.context_mark
        place = (mark.line, mark.column) if mark else (0, 0)
        if isinstance(error, DuplicateKeyError):  # its own words quote the values
            return self._error([(place, "a key is given twice; keep one")])
        return self._error([(place, f"not YAML: {(error.problem or 'cannot be read').strip()}")])

    def _error(self, complaints: Iterable[tuple[tuple[int, int], str]]) -> SettingsError:
        lines = [f"{self._name}:{line + 1}:{column + 1}: {message}" for (line, column), message in sorted(complaints)]
        return SettingsError("\n".join(lines))


def _file_mistakes(content: dict[Any, Any]) -> Iterator[Mistake]:
    for key in content:
        if key not in KEYS:
            yield (key,), f"unknown key {key!r}{did_you_mean(key, KEYS)}"
    version, rules = content.get("version"), content.get("rules")
    if version != 1 or isinstance(version, bool):
        yield ("version",), "`version` is missing or unknown; begin with `version: 1`"
    if not isinstance(rules, list) or not rules:
        yield ("rules",), "`rules` is a list with at least one rule"
        return
    for index, rule in enumerate(rules):
        if isinstance(rule, dict):
            yield from ((("rules", index, *path), message) for path, message in mistakes(rule))
        else:
            yield (
                ("rules", index),
                "a rule is a mapping with `name`, `hazard` or `attack`, and `keywords` or `patterns`",
            )
    yield from _names_given_twice(rules)


def _names_given_twice(rules: list[Any]) -> Iterator[Mistake]:
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        name = rule.get("name") if isinstance(rule, dict) else None
        if isinstance(name, str):
            if name in seen:
                yield ("rules", index, "name"), f"the name {name!r} is given twice; every rule has its own"
            seen.add(name)


def _plain(node: Any) -> Any:
    """Without what the round trip keeps beside the values."""
    if isinstance(node, CommentedMap):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node
