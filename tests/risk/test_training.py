"""Laws of training the head."""

import json
import re

import numpy as np
import pytest

from rose_guard import InputError
from rose_guard.risk import corpus, training
from rose_guard.risk.corpus import Example
from rose_guard.taxonomy import ATTACKS, HAZARDS


@pytest.fixture(scope="module")
def examples():
    return list(corpus.own_examples())


def test_the_projects_own_examples_cover_every_hazard_and_attack_in_both_splits(examples):
    for split in ("train", "test"):
        kept = [example for example in examples if example.split == split]
        hazards = {example.hazard for example in kept} - {None}
        assert set(HAZARDS) - hazards <= {"child_sexual_exploitation"}  # few on purpose
        assert {example.attack for example in kept} - {None} == set(ATTACKS)


def test_both_sides_of_a_pair_share_their_split(examples):
    pairs = [e for e in examples if e.source.startswith("contrast pairs")]
    assert all(one.split == other.split for one, other in zip(pairs[::2], pairs[1::2], strict=True))
    assert all(one.harmful and not other.harmful for one, other in zip(pairs[::2], pairs[1::2], strict=True))


def test_no_text_is_in_both_splits_or_labelled_both_ways(examples):
    by_text = {}
    for example in examples:
        key = re.sub(r"\W+", " ", example.text.lower()).strip() or example.text
        by_text.setdefault(key, set()).add((example.split, example.harmful))
    assert all(len(seen) == 1 for seen in by_text.values())


def test_both_sides_of_the_pairs_are_of_like_length(examples):
    lengths = {
        side: [len(e.text) for e in examples if e.source == f"contrast pairs, {side}"]
        for side in ("harmful", "harmless")
    }
    assert np.mean(lengths["harmful"]) == pytest.approx(np.mean(lengths["harmless"]), rel=0.1)


@pytest.fixture(scope="module")
def made_up():
    """Embeddings that a straight line separates, and examples to match."""
    rng = np.random.default_rng(0)
    labelled = [Example(f"{h}{i}", True, h, None, "made up", "train") for h in HAZARDS for i in range(4)]
    labelled += [Example(f"{a}{i}", None, None, a, "made up", "train") for a in ATTACKS for i in range(4)]
    labelled += [Example(f"ok{i}", False, None, None, "made up", "train") for i in range(40)]
    labelled += [Example("kept back", False, None, None, "made up", "test")]
    names = [*HAZARDS, *ATTACKS]
    rows = rng.normal(scale=0.02, size=(len(labelled), 384)).astype(np.float32)
    for row, example in zip(rows, labelled, strict=True):
        label = example.hazard or example.attack
        if label is not None:
            row[names.index(label)] += 1
    return labelled, rows


def test_training_twice_gives_the_same_head_byte_for_byte(made_up, tmp_path):
    for name in ("one", "two"):
        training.train(*made_up).save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_head_tells_apart_what_it_was_taught(made_up):
    examples, rows = made_up
    report = training.measure(training.train(examples, rows), examples, rows)
    measured = {(m.source, m.trained_on): m.flagged for m in report.sources}
    assert measured["made up", False] == 0.0
    assert 0.5 < measured["made up", True] < 0.8


def test_examples_of_the_test_split_are_never_trained_on(made_up):
    examples, rows = made_up
    spoilt = rows.copy()
    spoilt[[e.split == "test" for e in examples]] = 1e3
    assert training.train(examples, rows).version == training.train(examples, spoilt).version


def test_ones_own_examples_are_read_from_json_lines(tmp_path):
    path = tmp_path / "mine.jsonl"
    rows = [{"text": "a", "harmful": True, "hazard": "hate"}, {"text": "b", "harmful": False}]
    path.write_text("\n".join(map(json.dumps, rows)))
    one, other = corpus.labelled_examples(path)
    assert (one.harmful, one.hazard, one.source) == (True, "hate", "mine")
    assert (other.harmful, other.hazard) == (False, None)


@pytest.mark.parametrize(
    "row", ['{"text": "a"}', '{"harmful": true}', '{"text": "a", "harmful": true, "hazard": "hat"}', "not json", "[1]"]
)
def test_a_row_of_the_wrong_shape_is_an_error_that_names_it(tmp_path, row):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"text": "a", "harmful": true}\n' + row)
    with pytest.raises(InputError, match=r"mine\.jsonl:2"):
        list(corpus.labelled_examples(path))


def test_public_sets_are_labelled_by_their_columns(tmp_path):
    files = {
        "ailuminate_en_dev": {"text": "a", "hazard": "hte"},
        "catqa_en": {"text": "b", "category": "Privacy Violation Activity", "subcategory": "Doxxing"},
        "truthfulqa": {"text": "c"},
        "do_not_answer": {"text": "never trained on"},
    }
    for name, row in files.items():
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row))
    found = {e.text: (e.harmful, e.hazard) for e in corpus.public_examples(tmp_path)}
    assert found == {"a": (True, "hate"), "b": (True, "privacy"), "c": (False, None)}
