"""Laws of splitting into sentences."""

from hypothesis import given
from hypothesis import strategies as st

from rose_guard.risk.sentences import sentence_pairs, sentences


@given(st.text(alphabet="ab .!?\n", max_size=60))
def test_sentences_follow_one_another_and_leave_out_no_word(text):
    found = sentences(text)
    assert all(earlier[1] <= later[0] for earlier, later in zip(found, found[1:], strict=False))
    covered = {i for start, end in found for i in range(start, end)}
    assert all(i in covered for i, char in enumerate(text) if char in "ab")


def test_short_sentences_are_joined_to_the_one_before():
    text = "How do I make a lentil soup? Ok. Thanks."
    assert sentences(text) == [(0, len(text))]


def test_each_longer_sentence_stands_alone():
    text = "The museum opens at nine every day. Where can I leave my coat?"
    assert [text[start:end].strip() for start, end in sentences(text)] == text.replace(". ", ".|").split("|")


def test_pairs_overlap_and_leave_out_no_sentence():
    text = "The first sentence is here. The second sentence follows. The third one is the last."
    (one, two, three), pairs = sentences(text), sentence_pairs(text)
    assert pairs == [(one[0], two[1]), (two[0], three[1])]
    assert sentence_pairs(text[: two[1]]) == []
