"""Laws of training the head."""

import hashlib
import json
import random
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from rose_guard import InputError, ModelLoadError
from rose_guard.risk import corpus, training
from rose_guard.risk.corpus import Example
from rose_guard.risk.metrics import auroc
from rose_guard.risk.model_card import model_card, training_digest
from rose_guard.risk.report import measure
from rose_guard.risk.tuning import TuningSettings
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


HAZARD = "hate"


@pytest.fixture(scope="module")
def made_up():
    """Embeddings that a straight line separates, and examples to match."""
    rng = np.random.default_rng(0)
    labelled = [Example(f"{h}{i}", True, h, None, "made up", "train") for h in HAZARDS for i in range(4)]
    labelled += [Example(f"{a}{i}", None, None, a, "made up", "train") for a in ATTACKS for i in range(4)]
    labelled += [Example(f"ok{i}", False, None, None, "made up", "train") for i in range(40)]
    labelled += [Example(f"kept ok{i}", False, None, None, "made up", "test") for i in range(9)]
    labelled += [Example(f"kept {h}", True, h, None, "made up", "test") for h in HAZARDS]
    labelled += [Example(f"unsure{i}", i % 2 == 0, None, None, "made up", "calibrate") for i in range(20)]
    for source, harmful in (("public bad", True), ("public good", False)):
        labelled += [Example(f"{source}{i}", harmful, None, None, source, "train", "public") for i in range(8)]
    labelled += [Example(f"given{i}", i % 2 == 0, None, None, "given", "test", "given") for i in range(8)]
    names = [*HAZARDS, *ATTACKS]
    rows = rng.normal(scale=0.02, size=(len(labelled), len(HAZARDS) + len(ATTACKS) + 1)).astype(np.float32)
    for row, example in zip(rows, labelled, strict=True):
        label = example.hazard or example.attack
        if label is not None or example.harmful:
            row[names.index(label or HAZARD)] += 1
        if example.harmful:
            row[-1] += 1
    return labelled, rows


def test_training_twice_gives_the_same_head_byte_for_byte(made_up, tmp_path):
    for name in ("one", "two"):
        training.train(*made_up, "encoder").save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.fixture(scope="module")
def report(made_up):
    examples, rows = made_up
    return measure(training.train(examples, rows, "encoder"), examples, rows, leave_out=True)


def test_a_head_tells_apart_what_it_was_taught(report):
    assert report.auroc.value == 1.0
    flagged = {(s.source, s.kind, s.trained_on): s.flagged.value for s in report.sources}
    assert flagged["made up", "harmless", False] == 0.0
    assert flagged["made up", "harmful", False] == 1.0
    assert all(hazard.named == 1.0 for hazard in report.hazards)
    assert report.look_alikes["given"].value == 1.0
    assert report.left_out == {("public bad", "public good"): 1.0}


def test_probabilities_are_calibrated_on_examples_that_were_not_trained_on(made_up, report):
    examples, rows = made_up
    assert report.calibration.value < 0.05
    kept = [i for i, example in enumerate(examples) if example.split != "calibrate"]
    uncalibrated = training.train([examples[i] for i in kept], rows[kept], "encoder")
    assert measure(uncalibrated, examples, rows).calibration.value > report.calibration.value


@pytest.fixture(scope="module")
def mixed(made_up):
    """A report of a head that is wrong at times, and the scores behind it."""
    examples, rows = made_up
    examples = [
        *examples,
        *(Example(f"kept {a}{i}", None, None, a, "made up", "test") for a in ATTACKS for i in range(3)),
    ]
    noise = np.random.default_rng(1).normal(scale=0.5, size=(len(examples), rows.shape[1])).astype(np.float32)
    noise[: len(rows)] += rows
    head = training.train(*made_up, "encoder")
    scores = {label: score.numpy() for label, score in head.scores(torch.from_numpy(noise)).items()}
    return examples, scores, measure(head, examples, noise)


def test_areas_and_shares_by_hazard_are_those_of_the_scores_with_an_interval_around_them(mixed):
    examples, scores, report = mixed
    kept = [e.split == "test" and e.origin == "own" for e in examples]
    for hazard in report.hazards:
        own = np.array([kept[i] and e.hazard == hazard.hazard for i, e in enumerate(examples)])
        harmless = np.array([e.split != "train" and e.origin == "own" and e.harmful is False for e in examples])
        found = scores[hazard.hazard]
        assert hazard.auroc.value == pytest.approx(auroc(found[own | harmless], own[own | harmless]))
        for threshold, recall in zip(hazard.thresholds, hazard.recall, strict=True):
            assert recall.value == np.mean(found[own] >= threshold)
        assert all(e.low <= e.value <= e.high for e in (hazard.auroc, *hazard.recall))
    for attack, area in report.attacks.items():
        wanted = np.array([e.attack == attack for e in examples])[kept]
        assert area.value == pytest.approx(auroc(scores[attack][kept], wanted))
        assert 0 < area.low < area.value <= area.high <= 1


def test_the_card_tells_every_source_licence_and_figure(made_up, mixed):
    examples, _, report = mixed
    head = training.train(*made_up, "encoder")
    card = model_card(head, examples, report, tuned=True)
    for expected in ("made up", "public bad", "given for this run", str(report.auroc), training_digest(examples)):
        assert expected in card
    for hazard in report.hazards:
        assert f"| {hazard.hazard} | {hazard.examples} | {hazard.auroc} |" in card
        assert str(hazard.recall[0]) in card
    for attack, area in report.attacks.items():
        assert f"| {attack} | {area} |" in card


def test_the_card_tells_how_the_encoder_was_tuned_where_it_was(made_up, report):
    examples, rows = made_up
    head = training.train(examples, rows, "encoder")
    assert str(TuningSettings()) in model_card(head, examples, report, tuned=True)
    assert "TuningSettings" not in model_card(head, examples, report, tuned=False)


def test_the_card_names_both_licences_that_do_not_answer_is_said_to_have(made_up, report):
    examples = [replace(made_up[0][0], source="do_not_answer", split="test", origin="public")]
    card = model_card(training.train(*made_up, "encoder"), examples, report, tuned=False)
    assert "Apache-2.0 by its Hugging Face card, CC-BY-NC-SA by another; measured only" in card


def test_the_digest_tells_what_was_learnt_from_and_nothing_else(made_up):
    examples, _ = made_up
    digest = training_digest(examples)
    assert training_digest(random.Random(0).sample(examples, len(examples))) == digest
    assert training_digest([e for e in examples if e.split != "test"]) == digest
    learnt = next(i for i, e in enumerate(examples) if e.split == "calibrate")
    changes = {"text": "another", "harmful": None, "hazard": "hate", "attack": "jailbreak"}
    for key, value in (changes | {"source": "another", "split": "train"}).items():
        assert (
            training_digest([*examples[:learnt], replace(examples[learnt], **{key: value}), *examples[learnt + 1 :]])
            != digest
        )
    assert training_digest([*examples, examples[learnt]]) != digest


def test_the_digest_can_be_made_again_from_its_description():
    rows = [Example("b\n\u00e9", True, "hate", None, "s"), Example("a", False, None, None, "s", "calibrate")]
    lines = (
        '{"attack":null,"harmful":false,"hazard":null,"source":"s","split":"calibrate","text":"a"}\n'
        '{"attack":null,"harmful":true,"hazard":"hate","source":"s","split":"train","text":"b\\n\\u00e9"}'
    )
    assert training_digest(rows) == hashlib.sha256(lines.encode()).hexdigest()


def test_examples_of_the_test_split_are_never_trained_on(made_up):
    examples, rows = made_up
    spoilt = rows.copy()
    spoilt[[e.split == "test" for e in examples]] = 1e3
    assert training.train(examples, rows, "e").version == training.train(examples, spoilt, "e").version


def test_a_head_belongs_to_its_encoder(made_up):
    head = training.train(*made_up, "encoder")
    assert head.version != training.train(*made_up, "another").version
    with pytest.raises(ModelLoadError, match="another encoder"):
        head.check_encoder("another")


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
        "unknown": {"text": "d"},
    }
    for name, row in files.items():
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row))
    found = {e.text: (e.harmful, e.hazard) for e in corpus.public_examples(tmp_path)}
    assert found == {"a": (True, "hate"), "b": (True, "privacy"), "c": (False, None)}


def test_long_harmless_texts_are_taught_in_parts_too_and_nothing_else_is():
    long = "The soup needs an hour on the stove. Peel the carrots before you begin with it. Salt it at the end. " * 3
    labels = ((False, "train"), (False, "test"), (False, "calibrate"), (True, "train"), (None, "train"))
    texts = [corpus.Example(long, harmful, None, None, "soups", split) for harmful, split in labels]
    texts.append(corpus.Example(long, False, None, "prompt_leak", "soups"))
    short = corpus.Example("Peel the carrots. Salt the soup. Serve it.", False, None, None, "soups")
    parts = list(corpus.harmless_parts([*texts, short]))
    assert len(parts) == 8  # of nine sentences
    assert all(part.text in long and len(part.text) < len(long) / 2 for part in parts)
    assert {(part.harmful, part.split) for part in parts} == {(False, "train")}


def test_sets_whose_licence_forbids_it_are_never_trained_on(tmp_path):
    for name in ("do_not_answer", "alpaca_eval"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"text": "measured only"}))
    assert {e.split for e in corpus.public_examples(tmp_path)} == {"test"}
