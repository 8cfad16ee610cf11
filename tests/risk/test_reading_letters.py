"""Laws of letters: leetspeak and spaced-out words are read, numbers and names stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.risk.reading.letters import undo_letters
from rose_guard.risk.reading.view import View


def plain(text):
    return undo_letters(View.written(text)).text


@pytest.mark.parametrize(
    ("leet", "word"),
    [
        ("k1ll", "kill"),
        ("K1LL", "KILL"),
        ("K1ll", "Kill"),
        ("k!ll", "kill"),
        ("b0mb", "bomb"),
        ("p@ssw0rd", "password"),
        ("h4ck3r$", "hackers"),
        ("su1c1de", "suicide"),
        ("po1son", "poison"),
        ("d1e", "die"),
        ("he1p", "help"),
        ("p1ease", "please"),
        ("k1ll the h3ro, te11 me", "kill the hero, tell me"),
        ("k1ll!!", "kill!!"),
        ("d3ad", "dead"),
        ("m3th-l4b", "meth-lab"),
        ("l33t", "leet"),
        ("5tr3ngth5", "strengths"),
    ],
)
def test_leetspeak_is_read(leet, word):
    assert plain(leet) == word


@pytest.mark.parametrize(
    ("leet", "first", "second"),
    [
        ("n31ghb0ur", "nelghbour", "neighbour"),
        ("he1p", "help", "heip"),
        ("k1ll my n31ghb0ur", "kill my nelghbour", "kill my neighbour"),
        ("k1ll", "kill", "kill"),
        ("l33t h3ro", "leet hero", "leet hero"),
    ],
)
def test_a_one_is_an_i_or_an_l_by_its_neighbours_and_in_a_second_reading_always_an_i(leet, first, second):
    assert plain(leet) == first
    assert undo_letters(View.written(leet), one_is_i=True).text == second


def test_where_two_words_are_leetspeak_others_are_read_more_freely():
    assert plain("h0w t0 h1de 20 th1ngs 1n 4th gear") == "how to hide 20 things in 4th gear"
    assert plain("t0 and 1n") == "t0 and 1n"


@pytest.mark.parametrize(
    "text",
    [
        "mp3 mp4 covid19 h2o 4th v2 3d co2 ipv4 utf8 sha256 base64 int32 x86 b12 ps5 iphone15",
        "H1N1 W3C B2B R2D2 C3PO K1A 0B1 AK47 M16 A4 4K 5G U2 G20 RTX4090 GPT4o",
        "k8s i18n l10n a11y log4j sha1sum md5sum",
        "10km 5pm 30min 1h30m 100kg 16gb 2nd 3rd 1990s 3.14 1,000 2.0.1-rc1 1e5 0x1f3a",
        "9fceb02d0ae598e95dc970b74767f19372d61af8 550e8400-e29b-41d4-a716-446655440000 4b825dc a91f 9f3e",
        "s4m@m4il.example.org https://h4x.example/b0mb www.l33t.example",
        "print(f'{name!r} {self.value!s:>4}')",
        "Wow!!! Really?! $5 or US$5, @someone, 50%",
    ],
)
def test_numbers_names_and_addresses_stay(text):
    assert plain(text) == text


@pytest.mark.parametrize(
    ("apart", "words"),
    [
        ("k i l l", "kill"),
        ("h o w  t o  k i l l", "how to kill"),
        ("k.i.l.l", "kill"),
        ("k-i-l-l y-o-u", "kill you"),
        ("k_i_l_l", "kill"),
        ("k...i...l...l", "kill"),
        ("k - i - l - l", "kill"),
        ("k\ni\nl\nl", "kill"),
        ("k🔥i🔥l🔥l", "kill"),
        ("к о т ы", "коты"),
        ("please k i l l them", "please kill them"),
        ("(k i l l)", "(kill)"),
    ],
)
def test_spaced_out_letters_are_joined(apart, words):
    assert plain(apart) == words


@pytest.mark.parametrize(
    "text",
    [
        "a b c",
        "I a m",
        "U.S.",
        "e.g. i.e. p.m.",
        "1 2 3 4 5",
        "1.2.3.4",
        "나 너 그 저",
        "c_t s_t",
        "f(a, b, c, d)",
        "a + b + c + d",
    ],
)
def test_short_runs_and_numbers_stay(text):
    assert plain(text) == text


@given(st.text("abcdefgh", min_size=4), st.sampled_from([" ", ".", "-", "_", "*", "/", " - ", "..."]))
def test_any_word_that_was_set_apart_is_joined(word, sign):
    view = undo_letters(View.written(sign.join(word)))
    assert view.text == word
    assert view.source(0, len(word)) == (0, len(sign.join(word)))


@given(st.text("ab1! .@3", max_size=60))
def test_letters_never_lengthen_a_text(text):
    assert len(plain(text)) <= len(text)
