"""PolicyDocument: a YAML file read safely, with the line and column of everything in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from rose_guard.errors import PolicyError
from rose_guard.policy.schema import BandEntry, ClassifierEntry, Defaults, PolicyFile, RuleEntry
from rose_guard.policy.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pydantic import BaseModel

MAX_BYTES = 1_000_000

Path_ = tuple["str | int", ...]


class PolicyDocument:
    """A policy's text, parsed but not yet judged.

    Args:
        text: YAML without tags, anchors or duplicate keys.
        name: the file's name, for messages.

    Raises:
        PolicyError: if it is not such YAML, or holds no mapping.
    """

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        try:
            self._refuse_anchors_and_tags(text)
            self._root = YAML(typ="rt").load(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
            problem = (error.problem or "not valid YAML").strip()
            if isinstance(error, DuplicateKeyError):  # its own words quote the values, which may be prompts
                problem = problem.split(" with value", maxsplit=1)[0].removeprefix("found ")
            raise PolicyError([f"{name}:{place}: {problem}"]) from None
        except (YAMLError, RecursionError):
            raise PolicyError([f"{name}:1:1: not valid YAML, or nested too deeply"]) from None
        if not isinstance(self._root, CommentedMap):
            raise PolicyError([f"{name}:1:1: a policy is a mapping that begins with `version: 1`"])

    @classmethod
    def read(cls, path: Path) -> PolicyDocument:
        """Read a file of at most 1 MB.

        Raises:
            PolicyError: if it cannot be read.
        """
        try:
            if path.stat().st_size > MAX_BYTES:
                raise PolicyError([f"{path}:1:1: larger than {MAX_BYTES} bytes; a policy never is"])
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise PolicyError([f"{path}:1:1: cannot be read ({reason}); give a readable YAML file"]) from error
        return cls(text, str(path))

    def parse(self) -> PolicyFile:
        """The file in its schema's shape.

        Raises:
            PolicyError: naming every mistake, its line and column, and what was probably meant.
        """
        if empty := list(_empty(self._root)):
            raise self.error([(path, f"`{path[-1]}` has no value; give one or leave the key out") for path in empty])
        try:
            return PolicyFile.model_validate(_plain(self._root))
        except ValidationError as error:
            raise self.error([_complaint(e) for e in error.errors()]) from None

    def error(self, complaints: Sequence[tuple[Path_, str]]) -> PolicyError:
        """A PolicyError that lists complaints by the place that each one's path has in the file."""
        placed = sorted((self._place(path), message) for path, message in complaints)
        return PolicyError([f"{self.name}:{line}:{column}: {message}" for (line, column), message in placed])

    def _place(self, path: Path_) -> tuple[int, int]:
        """Line and column, from 1, of the deepest part of ``path`` that the file holds."""
        node: Any = self._root
        line, column = 0, 0
        for part in path:
            if isinstance(node, CommentedMap) and part in node:
                line, column = node.lc.key(part)
            elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
                line, column = node.lc.item(part)
            else:
                break
            node = node[part]
        return line + 1, column + 1

    def _refuse_anchors_and_tags(self, text: str) -> None:
        for event in YAML(typ="rt").parse(text):
            tag, anchor = getattr(event, "tag", None), getattr(event, "anchor", None)
            if tag is not None or anchor is not None:
                mark, kind = event.start_mark, "anchors and aliases" if anchor is not None else "tags"
                raise PolicyError([f"{self.name}:{mark.line + 1}:{mark.column + 1}: YAML {kind} are not allowed"])


def _plain(node: Any) -> Any:
    if isinstance(node, CommentedMap):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    return node


def _empty(node: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Paths of keys without a value, which YAML reads as null."""
    if node is None:
        yield path
    items = (
        node.items() if isinstance(node, CommentedMap) else enumerate(node) if isinstance(node, CommentedSeq) else ()
    )
    for part, value in items:
        yield from _empty(value, (*path, part))


_TEXTS = ("safe_prompts", "reverse_prompts", "messages")
_MODELS: dict[tuple[str, ...], type[BaseModel]] = {
    (): PolicyFile,
    ("classifier",): ClassifierEntry,
    ("defaults",): Defaults,
    ("hazards", "*"): RuleEntry,
    ("attacks", "*"): RuleEntry,
    ("hazards", "*", "bands", "*"): BandEntry,
    ("attacks", "*", "bands", "*"): BandEntry,
}


def _complaint(error: Any) -> tuple[Path_, str]:
    """Path and message of one of pydantic's complaints, in a policy author's words."""
    path = tuple(part for part in error["loc"] if part != "[key]")
    if error["type"] == "extra_forbidden":
        shape = tuple("*" if i in (1, 3) and path[0] in ("hazards", "attacks") else p for i, p in enumerate(path[:-1]))
        model = _MODELS.get(shape)
        return path, f"unknown key {str(path[-1])!r}{did_you_mean(str(path[-1]), model.model_fields if model else ())}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return path, f"`{path[-1]}` is missing"
    name = ".".join(str(part) for part in path)
    if "[key]" in error["loc"] or error["type"] == "value_error":
        return path, message
    given = error["input"]
    # Only short values are repeated, and no prompt or message ever.
    shown = f", not {given!r}" if isinstance(given, str | int | float) and path[0] not in _TEXTS else ""
    return path, f"{name}: {message[0].lower()}{message[1:]}{shown}"
