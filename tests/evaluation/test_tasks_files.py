import json
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.errors import InputError
from rose_guard.evaluation import row_file
from rose_guard.evaluation.hub import is_hub_id
from rose_guard.evaluation.row_file import read_json, rows_of

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(tmp_path, name, content):
    return [(row.place.rsplit("/", 1)[-1], dict(row.values)) for row in rows_of(write(tmp_path, name, content))]


def test_json_lines_are_placed_by_line_and_blank_ones_passed_over(tmp_path):
    assert read(tmp_path, "a.jsonl", '\ufeff{"a": 1}\r\n\n{"a": 2}') == [
        ("a.jsonl:1", {"a": 1}),
        ("a.jsonl:3", {"a": 2}),
    ]


@pytest.mark.parametrize("content", ['[{"a": 1},\n\n {"a":\n 2}, {"a": 3}]\n', '{"a": 1}\n\n{"a":\n 2} {"a": 3}'])
def test_json_is_placed_by_the_line_where_a_row_begins_as_a_list_or_as_lines(tmp_path, content):
    assert read(tmp_path, "a.json", content) == [("a.json:1", {"a": 1}), ("a.json:3", {"a": 2}), ("a.json:4", {"a": 3})]


def test_csv_is_placed_by_the_line_where_a_row_begins(tmp_path):
    content = 'a,b\n"x\ny",1\n\nz,2\n'
    assert read(tmp_path, "a.csv", content) == [("a.csv:2", {"a": "x\ny", "b": "1"}), ("a.csv:5", {"a": "z", "b": "2"})]


@given(st.lists(st.dictionaries(texts, texts, min_size=1), min_size=1, max_size=5), st.sampled_from([None, 1]))
def test_whatever_json_writes_is_read_back(tmp_path_factory, rows, indent):
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(json.dumps(rows, indent=indent))
    assert [row.values for row in rows_of(path)] == rows


def test_a_bare_text_is_a_row_of_text(tmp_path):
    assert read(tmp_path, "a.json", '["tea", "cake"]') == [
        ("a.json:1", {"text": "tea"}),
        ("a.json:1", {"text": "cake"}),
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"a": 1}\n{"a"\n', ":2: not JSON"),
        ("a.jsonl", '{"a": 1} {"a": 2}\n', ":1: not JSON"),
        ("a.jsonl", "1\n", ":1: a row must be"),
        ("a.jsonl", "[" * 100_000 + "\n", ":1: not JSON"),
        ("a.jsonl", b'{"a": 1}\n\xff\n', "not UTF-8"),
        ("a.json", '[{"a": 1}', "the list has no end"),
        ("a.json", '[{"a": 1}] x', "the list has no end, or something after it"),
        ("a.json", '[{"a": 1},\n{"a"}]', ":2: not JSON"),
        ("a.csv", "a,b\n1\n", ":2: 1 cells where 2 columns are"),
        ("a.csv", "a,b\n1,2,3\n", ":2: 3 cells where 2 columns are"),
        ("a.csv", "a,a\n1,2\n", ":1: the header names a column twice"),
        ("a.csv", 'a\n"x', ":2: not CSV"),
        ("a.csv", "a\n" + "x" * 200_000, ":2: not CSV, or a cell of over"),
        ("a.jsonl", "", "no rows"),
        ("a.csv", "a,b\n", "no rows"),
        ("a.json", "[]", "no rows"),
        ("a.parquet", "x", "a file that ends in .jsonl, .json, .csv"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_its_place(tmp_path, name, content, said):
    path = write(tmp_path, name, content)
    with pytest.raises(InputError) as refusal:
        rows_of(path)
    assert str(refusal.value).startswith(str(path))
    assert said in str(refusal.value)


@pytest.mark.parametrize("name", ["none.jsonl", "none.json", "none.csv"])
def test_a_file_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="cannot be read"):
        rows_of(tmp_path / name)
    with pytest.raises(InputError, match="cannot be read"):
        read_json(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", '{"a": "%s"}\n'), ("a.json", '[{"a": "%s"}]'), ("a.csv", "a\n%s\n")],
)
def test_a_row_of_more_than_a_million_characters_is_refused(tmp_path, name, content):
    with pytest.raises(InputError, match=r"over 1,000,000 characters"):
        rows_of(write(tmp_path, name, content % ("x" * 1_000_001)))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_a_file_of_more_than_200_mb_is_refused_unread(tmp_path, name):
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(row_file.MAX_FILE_BYTES + 1)
    with pytest.raises(InputError, match="over 200 MB"):
        rows_of(path)


def test_more_rows_than_the_limit_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(row_file, "MAX_ROWS", 2)
    path = write(tmp_path, "a.jsonl", "{}\n{}\n")
    assert len(rows_of(path)) == 2
    with pytest.raises(InputError, match=":3: more than 2 rows"):
        rows_of(write(tmp_path, "a.jsonl", "{}\n{}\n{}\n"))


def test_half_a_character_is_refused_by_its_place(tmp_path):
    (row,) = rows_of(write(tmp_path, "a.jsonl", '{"text": "\\ud800", "id": "\\ud800"}'))
    with pytest.raises(InputError, match=":1: column `text` holds half a character"):
        row.text("text")
    with pytest.raises(InputError, match=":1: column `id` holds half a character"):
        row.key("tea")


@pytest.mark.parametrize("source", ["org/name", "org/name:test", "org/name/config:train", "a-b/c.d_e:30k_test"])
def test_ids_on_hugging_face_are_known_as_such(source):
    assert is_hub_id(source)


@pytest.mark.parametrize(
    "source", ["name", "/org/name", "./name", "../a/b", "org/name.json", "org/name.csv", "a/b:c/d"]
)
def test_files_are_not_taken_for_ids(source):
    assert not is_hub_id(source)


def hub(monkeypatch, load):
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load))


def test_without_datasets_its_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match="pip install datasets"):
        rows_of("org/name:test")


def test_a_split_on_hugging_face_is_read_in_order(monkeypatch):
    asked = []
    hub(monkeypatch, lambda *given, **named: asked.append((given, named)) or [{"text": "tea"}, {"text": "cake"}])
    rows = rows_of("org/name/config:test")
    assert asked == [(("org/name", "config"), {"split": "test"})]
    assert [(row.place, row.text("text")) for row in rows] == [
        ("org/name/config:test:1", "tea"),
        ("org/name/config:test:2", "cake"),
    ]


def test_without_a_split_only_a_single_one_is_taken(monkeypatch):
    hub(monkeypatch, lambda *_, **__: {"train": [{"text": "tea"}]})
    assert len(rows_of("org/name")) == 1
    hub(monkeypatch, lambda *_, **__: {"train": [{}], "test": [{}]})
    with pytest.raises(InputError, match="several splits; name one, as in org/name:train"):
        rows_of("org/name")


@pytest.mark.parametrize("fault", [OSError, ValueError, RuntimeError])
def test_a_data_set_that_cannot_be_had_is_refused(monkeypatch, fault):
    def load(*given, **named):
        raise fault("secret")

    hub(monkeypatch, load)
    with pytest.raises(InputError, match="no such data set") as refusal:
        rows_of("org/name")
    assert "secret" not in str(refusal.value)


def test_a_file_is_read_before_hugging_face_is_asked(tmp_path, monkeypatch):
    hub(monkeypatch, lambda *_, **__: pytest.fail("asked"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org").mkdir()
    write(tmp_path, "org/name.jsonl", "{}\n")
    assert len(rows_of("org/name.jsonl")) == 1
