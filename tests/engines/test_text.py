"""Laws of showing text: pieces join to the whole, and nothing of a stop string is shown."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rose_guard.engines.text import Detokenizer, StopStrings

TEXTS = [
    "Hello, world!  Two  spaces\n\tand tabs",
    "naïve café 🙂👩‍👩‍👧 日本語 عربى",
    "x" * 50,
    " leading",
    "`code` 1,000.5",
]


def in_pieces(tokenizer, ids):
    detokenizer = Detokenizer(tokenizer)
    pieces = [detokenizer.push(token_id) for token_id in ids]
    return [*pieces, detokenizer.flush()]


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_join_to_the_text_on_the_real_tokenizer(engine, text):
    pieces = in_pieces(engine.hf_tokenizer, engine.token_ids(text))
    assert "".join(pieces) == text


@settings(max_examples=200, deadline=None)
@given(ids=st.lists(st.integers(0, 258), max_size=20))
def test_pieces_join_to_what_decoding_at_once_gives_whatever_the_bytes(tokenizer, ids):
    whole = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert "".join(in_pieces(tokenizer, ids)) == whole


@settings(max_examples=100, deadline=None)
@given(text=st.text(min_size=1, max_size=20))
def test_a_character_is_shown_whole_or_not_yet(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    shown = ""
    detokenizer = Detokenizer(tokenizer)
    for token_id in ids:
        shown += detokenizer.push(token_id)
        assert text.startswith(shown) or "\ufffd" in text


pieces_of_ab = st.lists(st.text("ab", max_size=4), max_size=8)


@given(pieces=pieces_of_ab, stop=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_text_is_cut_before_the_first_stop_string_however_it_is_pieced(pieces, stop):
    text = "".join(pieces)
    cuts = [text.find(s) for s in stop if s in text]
    stops = StopStrings(stop)
    shown = ""
    for piece in pieces:
        shown += stops.push(piece)
        assert not any(s in shown for s in stop)
    shown += stops.flush()
    assert stops.found == bool(cuts)
    if not cuts:
        assert shown == text
    else:
        assert not any(s in shown for s in stop)
        assert text.startswith(shown)


def test_what_might_begin_a_stop_string_is_held_back_and_then_released():
    stops = StopStrings(["END"])
    assert stops.push("the E") == "the "
    assert stops.push("N") == ""
    assert stops.push("T") == "ENT"


def test_nothing_follows_a_stop_string():
    stops = StopStrings(["."])
    assert stops.push("One. Two.") == "One"
    assert stops.push("Three") == stops.flush() == ""


@pytest.mark.parametrize("cut", range(9))
def test_a_stop_string_is_found_across_the_place_where_an_answer_goes_on(cut):
    text, stop = "ok\n\nUser: no", "\n\nUser:"
    stops = StopStrings([stop], text[:cut])
    rest = stops.push(text[cut:]) + stops.flush()
    assert stops.found
    assert (text[:cut] + rest)[: text.index(stop)] == "ok"[: len(text[:cut] + rest)]
    assert "User:" not in rest
