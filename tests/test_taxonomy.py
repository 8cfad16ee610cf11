"""Laws of the taxonomy and its maps."""

import pytest

from rose_guard.taxonomy import ATTACKS, HAZARDS, labels_from, labels_to, taxonomies


def test_there_are_eighteen_hazards_and_five_attacks_each_with_a_definition():
    assert (len(HAZARDS), len(ATTACKS)) == (18, 5)
    assert all(definition.endswith(".") for definition in {**HAZARDS, **ATTACKS}.values())
    assert not set(HAZARDS) & set(ATTACKS)


def test_the_promised_taxonomies_are_mapped():
    promised = {
        "llama_guard", "ailuminate", "do_not_answer", "aegis2", "wildguard", "openai_moderation", "beavertails", "qwen3guard",
    }  # fmt: skip
    assert promised <= set(taxonomies())


@pytest.mark.parametrize("taxonomy", taxonomies())
def test_every_foreign_label_maps_to_known_labels_and_back(taxonomy):
    from rose_guard.taxonomy import _maps

    for label in _maps()[taxonomy]:
        ours = labels_from(taxonomy, label)
        assert ours
        for name in ours:
            assert name in HAZARDS or name in ATTACKS
            assert label in labels_to(taxonomy, name)


@pytest.mark.parametrize(("taxonomy", "size"), [("llama_guard", 14), ("do_not_answer", 61), ("aegis2", 23)])
def test_maps_cover_the_whole_foreign_taxonomy(taxonomy, size):
    from rose_guard.taxonomy import _maps

    assert len(_maps()[taxonomy]) == size


def test_a_coarse_label_may_mean_several():
    assert set(labels_from("qwen3guard", "Violent")) == {"violent_crimes", "indiscriminate_weapons"}
    assert labels_from("qwen3guard", "Jailbreak") == tuple(ATTACKS)


def test_unknown_names_are_key_errors():
    with pytest.raises(KeyError):
        labels_from("nobody", "x")
    with pytest.raises(KeyError):
        labels_from("aegis2", "x")
