"""The benchmark measures what it says; how fast it is here is nobody's business."""

import json
from contextlib import nullcontext

import pytest

from rose_guard.engines.transformers import TransformersEngine
from rose_guard_benchmarks import report, workload
from rose_guard_benchmarks.figure import Figure, compare, interleave
from rose_guard_benchmarks.figures import FIGURES
from rose_guard_benchmarks.subject import Subject
from tests.guard.fakes import FakeClassifier
from tests.tiny import tiny_model


@pytest.fixture(scope="module")
def subject(tokenizer):
    engine = TransformersEngine(tiny_model(len(tokenizer), context=16384), tokenizer, model_id="tiny")
    return Subject(engine, engine.hf_model, FakeClassifier())


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_measured(subject, name):
    figure = FIGURES[name](subject, 1, 3)
    assert figure.name == name
    assert figure.low <= figure.ratio <= figure.high
    assert json.dumps(figure.detail)


def test_what_is_compared_with_guidance_is_the_same_text(subject):
    """A ratio of speeds means something only where both sides say the same."""
    for text in workload.LONG_ANSWERS:
        conversation = workload.question(text)
        (last,) = subject.run([subject.steered(conversation, 12)])
        assert subject.cfg(conversation, 12) == last.usage.output_tokens


def test_every_steered_token_was_contrasted(subject):
    deltas = subject.run([subject.steered(workload.question(text), 6) for text in workload.CHAT])
    assert all(delta.contrast.contrasted_tokens == delta.usage.output_tokens for delta in deltas)


def test_a_ratio_is_the_median_over_repetitions_of_pairs_measured_in_turn():
    order = []
    interleave({"guarded": lambda i: order.append(("g", i)) or 1, "plain": lambda i: order.append(("p", i)) or 1}, 2)
    assert order == [("g", 0), ("p", 0), ("g", 0), ("p", 0), ("g", 1), ("p", 1)]  # the first round is not counted
    figure = Figure("x", 0, 0, 0, "float32", "s over s")
    measured = compare(figure, {"guarded": [1.0, 4.0, 9.0], "plain": [1.0, 2.0, 3.0]}, "plain")
    assert (measured.ratio, measured.low, measured.high) == (2.0, 1.0, 3.0)


def test_the_faster_precision_is_shown_and_the_other_beside_it(monkeypatch, subject):
    monkeypatch.setattr(report.Subject, "load", lambda *_: subject)
    monkeypatch.setattr(report.EmbeddedClassifier, "shared", lambda: None)
    rates = iter([10.0, 20.0])

    def fake(subject, repetitions, tokens):
        return Figure("fake", 1, 1, 1, f"dtype{next(rates):.0f}", "tokens/s over tokens/s", {"medians": {"guarded": 1}})

    monkeypatch.setitem(report.FIGURES, "fake", fake)
    (figure,) = report.measure(
        ["fake"], ["a", "b"], model_id=None, device="cpu", repetitions=1, tokens=1, busy=nullcontext
    )
    assert set(figure.detail["other_dtypes"]) == {"dtype10", "dtype20"} - {figure.dtype}
