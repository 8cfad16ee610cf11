import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.errors import InputError
from rose_guard.evaluation.example import Example
from rose_guard.evaluation.sample import stratified
from rose_guard.evaluation.task import part_of
from rose_guard.message import Message
from tests.evaluation.published_rows import load

ids = st.lists(st.text(min_size=1), unique=True, min_size=1, max_size=60)


def examples_of(names, labels):
    return [
        Example(name, (Message("user", "Tea?"),), "benign", label=label)
        for name, label in zip(names, labels, strict=False)
    ]


@given(ids, st.lists(st.sampled_from("abc"), min_size=60, max_size=60), st.integers(1, 60), st.integers(0, 5))
def test_a_sample_gives_each_label_its_share_and_is_part_of_every_larger_one(names, labels, limit, seed):
    examples = examples_of(names, labels)
    sample = stratified(examples, limit, seed)
    larger = stratified(examples, limit + 1, seed)
    assert len(sample) == min(limit, len(examples))
    assert sample == [example for example in larger if example in sample]
    assert sample == [example for example in examples if example in sample]
    for label in "abc":
        share = sum(e.label == label for e in examples) * len(sample) / len(examples)
        assert abs(sum(e.label == label for e in sample) - share) <= 2


@given(ids, st.integers(1, 20), st.integers(0, 5), st.randoms())
def test_a_sample_depends_on_ids_and_seed_and_not_on_the_order(names, limit, seed, random):
    examples = examples_of(names, "ab" * 30)
    shuffled = random.sample(examples, len(examples))
    taken = [{example.id for example in stratified(those, limit, seed)} for those in (examples, shuffled)]
    assert taken[0] == taken[1]


def test_another_seed_takes_others():
    examples = examples_of([str(i) for i in range(100)], "a" * 100)
    assert stratified(examples, 10, 0) != stratified(examples, 10, 1)


def test_a_limit_below_one_is_refused(tmp_path):
    with pytest.raises(InputError, match="at least 1"):
        load(tmp_path, "dangerous_qa", "Tea?", limit=0)


def test_the_parts_share_no_example_and_miss_none(tmp_path):
    rows = [f"Tea {i}?" for i in range(200)]
    everything = load(tmp_path, "dangerous_qa", *rows)
    choose = load(tmp_path, "dangerous_qa", *rows, part="choose")
    report = load(tmp_path, "dangerous_qa", *rows, part="report")
    assert {e.id for e in choose}.isdisjoint(e.id for e in report)
    assert sorted(e.id for e in (*choose, *report)) == sorted(e.id for e in everything)
    assert 0.15 < len(choose) / len(everything) < 0.35


def test_an_examples_part_never_changes():
    parts = {name: part_of(name) for name in ("tea", "cake", "jam", "scone")}
    assert parts == {"tea": "report", "cake": "report", "jam": "report", "scone": "choose"}
