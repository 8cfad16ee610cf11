"""YamlDocument: a YAML text read safely, with the line and column of everything in it. Knows nothing of policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from rose_guard.errors import PolicyError
from rose_guard.policy.complaint import Complaint, Path_, Place
from rose_guard.policy.spelling import shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ruamel.yaml.nodes import Node

MAX_BYTES = 1_000_000
MAX_DEPTH = 16
MAX_PROBLEMS = 100
MAX_DIGITS = 32
"""A number has no more characters than this."""

_TYPED = ("int", "float", "bool", "null")


class YamlDocument:
    """A YAML text as plain dicts, lists, texts and numbers.

    What YAML leaves open is closed: no tags, anchors, aliases, merge keys or dates, one document, and keys are texts.

    Args:
        text: YAML.
        name: the file's name, for messages.
        what: what it should be, for messages.

    Raises:
        PolicyError: if it is not such YAML, or holds no mapping.
    """

    def __init__(self, text: str, name: str, what: str = "a policy is a mapping that begins with `version: 1`") -> None:
        self.name = name
        self.mistakes: list[Complaint] = []
        self._places: dict[Path_, Place] = {}
        if len(text) > MAX_BYTES:
            raise PolicyError([f"{name}:1:1: larger than {MAX_BYTES} bytes; a policy never is"])
        self._constructor = YAML(typ="safe", pure=True).constructor
        node = self._composed(text)
        if not isinstance(node, MappingNode):
            raise PolicyError([f"{name}:1:1: {what}"])
        self.root: dict[str, Any] = self._plain(node, ())

    def error(self, complaints: Iterable[Complaint]) -> PolicyError:
        """A PolicyError that lists complaints by their places in the file, each once, up to a hundred."""
        placed = sorted({(each.place or self._place(each.path), each.message) for each in complaints})
        if len(placed) > MAX_PROBLEMS:
            place, _ = placed[MAX_PROBLEMS]
            placed[MAX_PROBLEMS:] = [(place, f"and {len(placed) - MAX_PROBLEMS} more mistakes from here on")]
        return PolicyError([f"{self.name}:{line}:{column}: {message}" for (line, column), message in placed])

    def unsaid(self, complaints: Iterable[Complaint]) -> list[Complaint]:
        """Those complaints that do not only repeat a mistake of YAML."""
        said = {mistake.path for mistake in self.mistakes if mistake.place is None}
        return [complaint for complaint in complaints if complaint.path not in said]

    def _place(self, path: Path_) -> Place:
        """Place of the deepest part of a path that the file holds."""
        for length in range(len(path), 0, -1):
            if place := self._places.get(path[:length]):
                return place
        return 1, 1

    def _composed(self, text: str) -> Node | None:
        try:
            self._refuse_what_is_not_plain(text)
            return YAML(typ="safe", pure=True).compose(text)  # type: ignore[no-any-return]
        except MarkedYAMLError as error:
            line, column = _at(error.problem_mark or error.context_mark)
            raise PolicyError([f"{self.name}:{line}:{column}: {(error.problem or 'not valid YAML').strip()}"]) from None
        except YAMLError as error:
            before = text[: getattr(error, "position", 0)]
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            raise PolicyError([f"{self.name}:{line}:{column}: a character that YAML does not allow"]) from None

    def _refuse_what_is_not_plain(self, text: str) -> None:
        for number, content in enumerate(text.splitlines(), start=1):
            if content.startswith("%"):
                raise PolicyError([f"{self.name}:{number}:1: YAML directives are not allowed; leave the line out"])
        depth = 0
        for event in YAML(typ="safe", pure=True).parse(text):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            problem = _not_plain(event)
            if depth > MAX_DEPTH:
                problem = f"nested more than {MAX_DEPTH} levels deep; a policy never is"
            if problem:
                line, column = _at(event.start_mark)
                raise PolicyError([f"{self.name}:{line}:{column}: {problem}"])

    def _plain(self, node: Node, path: Path_) -> Any:
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self._item(item, (*path, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Path_) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = _at(key_node.start_mark)
            if not isinstance(key_node, ScalarNode) or _kind(key_node) in _TYPED:
                unread = (*path, str(key_node.value)[:MAX_DIGITS])
                self.mistakes.append(Complaint(unread, "a key must be a text; write it in quotes", place))
                continue
            key = str(key_node.value)
            if key in plain:
                self.mistakes.append(Complaint((*path, key), f"duplicate key {_in_double_quotes(key)}", place))
                continue
            self._places[*path, key] = place
            plain[key] = self._plain(value_node, (*path, key))
        return plain

    def _item(self, node: Node, path: Path_) -> Any:
        self._places[path] = _at(node.start_mark)
        return self._plain(node, path)

    def _scalar(self, node: ScalarNode, path: Path_) -> Any:
        kind, text = _kind(node), str(node.value)
        if kind == "null":
            self.mistakes.append(Complaint(path, f"`{path[-1]}` has no value; give one or leave the key out"))
            return None
        if kind not in _TYPED:
            return text
        if len(text) > MAX_DIGITS:
            self.mistakes.append(Complaint(path, f"`{path[-1]}` is a number too long to be meant; write it shorter"))
            return None
        return self._constructor.construct_object(node)


def read_text(path: Path) -> str:
    """The text of a file of at most 1 MB.

    Raises:
        PolicyError: if it cannot be read, is too large, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PolicyError([unreadable(path, error)]) from error
    return decoded(data, str(path))


def unreadable(path: Path, error: OSError) -> str:
    """What to say of a file that cannot be read."""
    return f"{path}:1:1: cannot be read ({error.strerror}); give a readable YAML file"


def decoded(data: bytes, name: str) -> str:
    """The text of a file's bytes.

    Raises:
        PolicyError: if they are too many, or not UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise PolicyError([f"{name}:1:1: larger than {MAX_BYTES} bytes; a policy never is"])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        raise PolicyError([f"{name}:{line}:{column}: not UTF-8 text; save the file as UTF-8"]) from None


def _not_plain(event: Any) -> str | None:
    if getattr(event, "anchor", None) is not None:
        return "YAML anchors and aliases are not allowed"
    return "YAML tags are not allowed" if getattr(event, "tag", None) is not None else None


def _in_double_quotes(key: str) -> str:
    return shown(key).replace("'", '"')


def _kind(node: ScalarNode) -> str:
    return str(node.tag).rpartition(":")[2]


def _at(mark: Any) -> Place:
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
