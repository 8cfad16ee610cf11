"""Laws of tuning the embedder, in a few steps on a few pairs."""

from dataclasses import replace
from itertools import islice

import pytest
import torch

from rose_guard.risk import corpus
from rose_guard.risk.embedder import SentenceEmbedder
from rose_guard.risk.encoder_delta import EncoderDelta
from rose_guard.risk.tuning import TuningSettings, tune

SETTINGS = TuningSettings(epochs=3, pairs_per_step=8, layers=(5,), learning_rate=5e-4, seeds=(0,))


def tuned(pairs, singles, settings=SETTINGS):
    embedder = SentenceEmbedder()
    before = {name: tensor.clone() for name, tensor in embedder.model.state_dict().items()}
    losses = []
    tune(embedder, pairs, singles, settings, report=lambda *told: losses.append(told[-1]))
    return EncoderDelta.between(before, embedder.model.state_dict()), losses


@pytest.fixture(scope="module")
def taught():
    pairs = [*islice(corpus.contrast_pairs(), 24), *islice(corpus.attack_pairs(), 8)]
    singles = list(islice(corpus.ordinary_prompts(), 16))
    return pairs, singles, *tuned(pairs, singles)


def test_the_same_texts_and_seed_give_the_same_weights(taught):
    pairs, singles, delta, _ = taught
    assert tuned(pairs, singles)[0].version == delta.version


def test_it_learns(taught):
    *_, losses = taught
    third = len(losses) // 3
    assert sum(losses[-third:]) < sum(losses[:third])


def test_only_the_chosen_layers_change(taught):
    _, _, delta, _ = taught
    assert delta.tensors
    assert all("encoder.layer.5." in name for name in delta.tensors)


def test_an_embedder_with_the_change_scores_like_the_tuned_one(taught):
    pairs, singles, delta, _ = taught
    embedder = SentenceEmbedder()
    tune(embedder, pairs, singles, SETTINGS)
    texts = [pair[0].text for pair in pairs]
    rebuilt = SentenceEmbedder(delta)
    one, other = (e.embed([e.windows(text)[0] for text in texts]) for e in (embedder, rebuilt))
    assert torch.nn.functional.cosine_similarity(one, other).min() > 0.999


def test_tunings_with_several_seeds_are_averaged(taught):
    pairs, singles, *_ = taught
    first, second, both = SentenceEmbedder(), SentenceEmbedder(), SentenceEmbedder()
    steps = []
    for embedder, seeds in ((first, (0,)), (second, (1,)), (both, (0, 1))):
        settings = replace(SETTINGS, epochs=1, seeds=seeds)
        tune(embedder, pairs, singles, settings, report=lambda *told: steps.append(told[:2]))
    name = "encoder.layer.5.output.dense.weight"
    one, other, mean = (e.model.state_dict()[name] for e in (first, second, both))
    assert not torch.equal(one, other)
    torch.testing.assert_close(mean, (one + other) / 2)
    assert steps[-1][0] == steps[-1][1] == 2 * steps[0][1], "the report counts the steps of all tunings"
