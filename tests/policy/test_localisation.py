"""Laws of languages: the closest text that there is, and never none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard import Policy
from rose_guard.policy.localisation import is_language, localised

TEXTS = {"en": "hello", "fr": "salut", "fr-ch": "adieu", "zh-hant": "nin hao", "pt-br": "oi"}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("fr", "salut"),
        ("fr-CA", "salut"),
        ("FR-ch", "adieu"),
        ("fr_CH", "adieu"),
        ("fr-CH-x-mine", "adieu"),
        ("fr-CA-x-mine", "salut"),
        ("zh-Hant-CN-x-private1-private2", "nin hao"),
        ("zh-Hant", "nin hao"),
        ("zh", "hello"),
        ("pt", "hello"),
        ("pt-PT", "hello"),
        ("en-GB", "hello"),
        ("de", "hello"),
        ("", "hello"),
        ("-", "hello"),
        ("*", "hello"),
        ("not a language", "hello"),
        ("fr" + "-x" * 10_000, "salut"),
    ],
)
def test_a_language_falls_back_to_a_wider_one_and_then_to_english(language, text):
    assert localised(TEXTS, language) == text


def test_a_singleton_goes_with_what_it_announces():
    """RFC 4647, section 3.4: a single letter is never the end of a tag that is looked up."""
    assert localised({"en": "a", "fr": "b", "fr-x": "never"}, "fr-x-mine") == "b"


@given(st.text(max_size=30))
def test_any_language_gets_some_text(language):
    assert localised(TEXTS, language) in TEXTS.values()


@pytest.mark.parametrize("code", ["en", "fr-CA", "zh-Hant-TW", "gsw", "de-CH-1996", "en-x-kind"])
def test_language_tags_are_known_by_their_shape(code):
    assert is_language(code)


@pytest.mark.parametrize(
    "code", ["english", "e", "", "fr_CA", "fr-", "-fr", "fr--CA", "fr-toolongsubtag", "fr CA", "f1", "fr\n", 3, None]
)
def test_other_codes_are_no_language_tags(code):
    assert not is_language(code)


def test_a_policys_texts_are_found_whatever_the_case_of_their_tags():
    policy = Policy.from_yaml("version: 1\nmessages: {mine: {EN: hello, fr-CA: allo, FR: salut}}")
    assert [policy.message("mine", language) for language in ("fr-ca", "fr-FR", "de", "en-US")] == [
        "allo", "salut", "hello", "hello",
    ]  # fmt: skip
    assert policy.digest == Policy.from_yaml("version: 1\nmessages: {mine: {en: hello, FR-CA: allo, fr: salut}}").digest


def test_prompts_of_both_kinds_are_localised_alike():
    policy = Policy.from_yaml(
        "version: 1\nsafe_prompts: {mine: {en: good, fr: bon}}\nreverse_prompts: {mine: {en: bad, fr: mauvais}}"
    )
    assert policy.safe_prompt("mine", "fr-BE") == "bon"
    assert policy.reverse_prompt("mine", "fr-BE") == "mauvais"
    assert policy.reverse_prompt("null", "fr-BE") == ""
