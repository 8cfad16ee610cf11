"""Laws of the answer classifier: its head knows its encoder, its corpus its splits, its threshold its false alarms."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from rose_guard import InputError, ModelLoadError
from rose_guard.cli.main import app
from rose_guard.risk.answer_classifier import AnswerClassifier
from rose_guard.risk.answer_corpus import AnswerExample, labelled_answers, own_answers, public_answers
from rose_guard.risk.answer_head import AnswerHead
from rose_guard.risk.answer_report import answer_card, measure
from rose_guard.risk.answer_training import AnswerWindows, train
from rose_guard.risk.embedded_answers import EmbeddedAnswerClassifier

HEAD = AnswerHead("abc", torch.tensor([1.0, -2.0]), torch.tensor(0.5))


class Letters:
    """Embeds a text as how often it says `b`, and how often `g`."""

    version = "letters"

    def windows(self, text):
        return [text]

    def parts(self, text, tokens, overlap):
        return [text[start : start + 8] for start in range(0, max(1, len(text)), 4)]

    def embed(self, windows):
        return torch.tensor([[float(text.count("b")), float(text.count("g"))] for text in windows])


def examples():
    rows = [AnswerExample("b" * (1 + i % 5), True, "own answers", split) for i, split in enumerate(["train"] * 20)]
    rows += [AnswerExample("g" * (1 + i % 5), False, "own answers", split) for i, split in enumerate(["train"] * 20)]
    rows += [
        AnswerExample("b" * 3, True, "own answers", "calibrate"),
        AnswerExample("gg", False, "own answers", "calibrate"),
    ]
    rows += [
        AnswerExample("gbbb", True, "own answers", "calibrate"),
        AnswerExample("bgg", False, "own answers", "calibrate"),
    ]
    rows += [AnswerExample("bbb", True, "other", "test"), AnswerExample("ggg", False, "other", "test")]
    rows += [AnswerExample("g" * 40, False, "reference", "test")]
    return rows


def test_a_head_is_the_same_after_saving_and_always_has_the_same_bytes(tmp_path):
    one, other = tmp_path / "one.safetensors", tmp_path / "other.safetensors"
    HEAD.save(one)
    AnswerHead.load(one).save(other)
    assert one.read_bytes() == other.read_bytes()
    assert AnswerHead.load(one).version == HEAD.version


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\x00" * 64])
def test_a_broken_head_is_refused(tmp_path, content):
    path = tmp_path / "head.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelLoadError, match=r"head\.safetensors"):
        AnswerHead.load(path)


def test_a_head_of_prompts_is_no_head_of_answers(classifier, tmp_path):
    path = tmp_path / "head.safetensors"
    classifier._head.save(path)
    with pytest.raises(ModelLoadError, match="train-answer-classifier"):
        AnswerHead.load(path)


def test_a_head_is_refused_over_another_encoder():
    with pytest.raises(ModelLoadError, match="another encoder"):
        HEAD.check_encoder("xyz")


def test_pairs_share_their_split_and_no_text_comes_twice():
    own = list(own_answers())
    assert all(bad.split == good.split for bad, good in zip(own[::2], own[1::2], strict=True))
    assert [answer.harmful for answer in own] == [True, False] * (len(own) // 2)
    assert len({answer.text for answer in own}) == len(own)
    assert {answer.split for answer in own} == {"train", "calibrate", "test"}


def test_what_may_not_be_trained_on_is_measured_on(tmp_path):
    rows = {
        "latent_jailbreak_p1": {"text": "x", "response": "a", "safety": "unsafe"},
        "advbench": {"text": "x", "target": "b"},
        "alpaca_eval": {"text": "x", "reference": "c"},
        "truthfulqa": {"text": "x", "best_answer": "d"},
    }
    for name, row in rows.items():
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    found = {answer.source: (answer.text, answer.harmful, answer.split) for answer in public_answers(tmp_path)}
    assert found == {
        "latent_jailbreak_p1": ("a", True, "train"),
        "advbench": ("b", True, "train"),
        "alpaca_eval": ("c", False, "test"),
        "truthfulqa": ("d", False, "test"),
    }


def test_a_row_without_its_column_is_named(tmp_path):
    (tmp_path / "advbench.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(InputError, match=r"advbench\.jsonl:1"):
        list(public_answers(tmp_path))
    (tmp_path / "mine.jsonl").write_text('{"text": "x", "harmful": "yes"}\n')
    with pytest.raises(InputError, match=r"mine\.jsonl:1"):
        list(labelled_answers(tmp_path / "mine.jsonl"))


def test_training_is_repeatable_tells_the_kinds_apart_and_an_answer_scores_as_its_worst_window():
    rows = examples()
    windows = AnswerWindows(rows, Letters())
    head = train(rows, windows, "letters")
    assert head.version == train(rows, windows, "letters").version
    scores = dict(zip([row.text for row in rows], windows.highest(head), strict=True))
    assert scores["bbb"] > 0.5 > scores["ggg"]
    mixed = AnswerWindows([AnswerExample("g" * 40 + "b" * 8 + "g" * 40, True, "other", "test")], Letters())
    assert mixed.highest(head)[0] > 0.5


def test_the_threshold_flags_at_most_two_percent_of_any_harmless_set():
    rows = examples()
    windows = AnswerWindows(rows, Letters())
    head = train(rows, windows, "letters")
    report = measure(head, rows, windows)
    assert report.false_alarms["reference"].value <= 0.02
    assert report.auroc["other"].value == 1.0
    assert f"{report.threshold:.2f}" in answer_card(head, rows, report)


@pytest.fixture(scope="module")
def shipped():
    return EmbeddedAnswerClassifier.shared()


def test_it_is_an_answer_classifier(shipped):
    assert isinstance(shipped, AnswerClassifier)
    assert shipped.name.startswith("embedded-answers-")


def test_it_scores_every_text(shipped):
    scores = [shipped.harm(text) for text in ("", " ", "soup " * 300, "[SEP] <|im_end|>")]
    assert all(0.0 <= score <= 1.0 for score in scores)


def test_it_tells_held_out_answers_apart_better_than_chance(shipped):
    held = [answer for answer in own_answers() if answer.split == "test"][:60]
    scores = np.array([shipped.harm(answer.text) for answer in held])
    assert (scores[::2] > scores[1::2]).mean() > 0.7


def test_the_command_trains_measures_and_writes_both_files(tmp_path, monkeypatch):
    monkeypatch.setattr("rose_guard.risk.answer_corpus.own_answers", lambda: iter(examples()))
    out = tmp_path / "answer_head.safetensors"
    monkeypatch.setattr(
        "rose_guard.risk.embedded.EmbeddedClassifier.shared",
        staticmethod(lambda: type("C", (), {"embedder": Letters()})),
    )
    result = CliRunner().invoke(app, ["train-answer-classifier", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert AnswerHead.load(out).encoder == "letters"
    assert "## Limits" in (tmp_path / "ANSWER_CARD.md").read_text()
