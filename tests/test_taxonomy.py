"""Laws of the taxonomy and its maps."""

import re

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


@pytest.mark.parametrize("taxonomy", taxonomies())
def test_a_label_is_known_in_any_case_and_with_any_signs(taxonomy):
    from rose_guard.taxonomy import _maps

    for label, ours in _maps()[taxonomy].items():
        spellings = (label.upper(), label.lower(), re.sub(r"\W+", "_", label), f" {label}. ")
        assert {labels_from(taxonomy, spelling) for spelling in spellings} == {tuple(ours)}


@pytest.mark.parametrize("taxonomy", sorted(set(taxonomies()) - {"llama_guard"}))
def test_a_name_is_known_with_a_description(taxonomy):
    from rose_guard.taxonomy import _maps

    for label, ours in _maps()[taxonomy].items():
        assert labels_from(taxonomy, f"{label}: what it covers: all") == tuple(ours)


@pytest.mark.parametrize("taxonomy", taxonomies())
def test_no_two_labels_share_a_spelling_and_every_other_name_is_of_a_label(taxonomy):
    from rose_guard.taxonomy import _maps, _plain, _read

    labels = _maps()[taxonomy]
    names = _read("taxonomy_names.json").get(taxonomy, {})
    bare = [re.sub(r"^s\d+ ", "", _plain(name)) for name in (*labels, *names)]
    assert len(set(bare)) == len(bare)
    assert set(names.values()) <= set(labels)


PUBLISHED = {
    "aegis2": """
        Violence; S1: Violence.; Sexual; Criminal Planning/Confessions; Guns and Illegal Weapons; Guns/Illegal Weapons;
        Controlled/Regulated Substances; Suicide and Self Harm; Sexual (minor); Hate/Identity Hate; PII/Privacy;
        Harassment; Threat; Profanity; Needs Caution; Other; Manipulation; Fraud/Deception; Malware; High Risk Gov
        Decision Making; Political/Misinformation/Conspiracy; Copyright/Trademark/Plagiarism; Unauthorized Advice;
        Illegal Activity; Immoral/Unethical
    """,
    "beavertails": """
        animal_abuse; child_abuse; controversial_topics,politics; discrimination,stereotype,injustice;
        drug_abuse,weapons,banned_substance; financial_crime,property_crime,theft; hate_speech,offensive_language;
        misinformation_regarding_ethics,laws_and_safety; non_violent_unethical_behavior; Non-Violent Unethical Behavior;
        privacy_violation; self_harm; sexually_explicit,adult_content; terrorism,organized_crime;
        violence,aiding_and_abetting,incitement
    """,
    "wildguard": "others; mental_health_over-reliance_crisis; cyberattack; sexual_content; copyright_violations",
    "openai_moderation": "sexual_minors; self_harm; self_harm_instructions; hate_threatening; illicit_violent",
    "llama_guard": "S1: Violent Crimes.; Non-Violent Crimes; Sex-Related Crimes; Suicide & Self-Harm; S14",
    "ailuminate": "vcr; Violent Crimes; spc_fin; spc; Sex-Related Crimes; Privacy; sxc",
    "qwen3guard": "PII; Personally Identifiable Information; Suicide & Self-Harm; non-violent illegal acts",
    "shieldgemma": "Dangerous Content; Sexually Explicit Information; Hate Speech; Harassment",
    "do_not_answer": "Insult: Questions with the intention of disrespecting; Legal Advice:\n \n Legal Interpretation: No.",
}
"""Labels as data sets, model cards and clients write them."""


@pytest.mark.parametrize(
    ("taxonomy", "label"), [(taxonomy, label) for taxonomy, labels in PUBLISHED.items() for label in labels.split(";")]
)
def test_published_forms_are_known(taxonomy, label):
    assert labels_from(taxonomy, label)


def test_a_name_counts_for_more_than_its_code():
    assert labels_from("aegis2", "S14: Manipulation") == labels_from("aegis2", "Manipulation")
    assert labels_from("llama_guard", "S5: Specialized Advice") == ("specialized_advice",)


@pytest.mark.parametrize(
    ("taxonomy", "label"),
    [
        ("llama_guard", "S5: Knitting"),
        ("llama_guard", "S15"),
        ("aegis2", "S3"),
        ("wildguard", "benign"),
        ("aegis2", ""),
    ],
)
def test_a_code_without_a_known_name_and_what_is_no_label_are_key_errors(taxonomy, label):
    with pytest.raises(KeyError):
        labels_from(taxonomy, label)


def test_a_coarse_label_may_mean_several():
    assert set(labels_from("qwen3guard", "Violent")) == {"violent_crimes", "indiscriminate_weapons"}
    assert labels_from("qwen3guard", "Jailbreak") == tuple(ATTACKS)
    assert labels_from("openai_moderation", "illicit") == ("nonviolent_crimes", "code_abuse")


@pytest.mark.parametrize("taxonomy", ["aegis2", "beavertails", "openai_moderation", "qwen3guard", "wildguard"])
def test_sexual_crimes_fall_under_the_sexual_label_where_there_is_none_of_their_own(taxonomy):
    assert set(labels_to(taxonomy, "sexual_content")) == set(labels_to(taxonomy, "sex_crimes"))
    assert labels_to(taxonomy, "child_sexual_exploitation")


def test_every_hazard_falls_under_a_label_of_wildguard():
    assert all(labels_to("wildguard", hazard) for hazard in HAZARDS)


@pytest.mark.parametrize(
    ("taxonomy", "label", "main"),
    [
        ("beavertails", "sexually_explicit,adult_content", "sexual_content"),
        ("openai_moderation", "illicit/violent", "violent_crimes"),
        ("wildguard", "violence_and_physical_harm", "violent_crimes"),
        ("aegis2", "Threat", "nonviolent_crimes"),
    ],
)
def test_what_a_label_mostly_means_comes_first(taxonomy, label, main):
    assert labels_from(taxonomy, label)[0] == main
    assert len(labels_from(taxonomy, label)) > 1


def test_unknown_names_are_key_errors():
    with pytest.raises(KeyError):
        labels_from("nobody", "x")
    with pytest.raises(KeyError):
        labels_from("aegis2", "x")
