"""Laws of keys, turns and their pseudonyms: nobody is taken for somebody else, and nobody can be read off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.errors import ConversationMemoryError, SettingsError
from rose_guard.memory import ConversationKey, RiskyTurn
from rose_guard.memory.pseudonyms import Pseudonyms
from tests.memory.stores import SECRET

HALVES = st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF, categories=["Cs"])
NAMES = st.none() | st.text(st.sampled_from("-:1a\0,\"'") | HALVES | st.characters(), max_size=4)
KEYS = st.builds(ConversationKey, NAMES, NAMES, NAMES).filter(lambda key: (key.principal, key.thread) != (None, None))


@given(one=KEYS, other=KEYS, secret=st.sampled_from([None, SECRET]))
def test_two_have_one_pseudonym_exactly_where_they_are_counted_together(one, other, secret):
    pseudonyms = Pseudonyms(secret)
    assert (pseudonyms.of(one) == pseudonyms.of(other)) == (one.counted_by == other.counted_by)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b", None), ("ab", "", None)),
        (("a", "b", None), ("a", None, "b")),
        ((None, "b", None), ("", "b", None)),
        ((None, "-", None), ("-", "-", None)),
        (("a:b", "c", None), ("a", "b:c", None)),
        (("a1:b", "c", None), ("a", "b1:c", None)),
        ((None, "\ud83d\ude00", None), (None, "\U0001f600", None)),
    ],
)
def test_no_name_runs_into_another(one, other):
    assert Pseudonyms().of(ConversationKey(*one)) != Pseudonyms().of(ConversationKey(*other))


def test_a_principals_threads_are_counted_together():
    pseudonyms = Pseudonyms()
    assert pseudonyms.of(ConversationKey("a", "b", "c")) == pseudonyms.of(ConversationKey("a", "b", None))


def test_pseudonyms_depend_on_the_secret_and_do_not_tell_it():
    key, turn = ConversationKey(None, "ann", None), RiskyTurn((), "digest", 0.0)
    for name in (lambda p: p.of(key), lambda p: p.mark, lambda p: p.turn(turn, p.of(key)).digest):
        names = [name(Pseudonyms(secret)) for secret in (None, SECRET, SECRET + b"!")]
        assert len(set(names)) == 3
        assert name(Pseudonyms(SECRET)) == names[1]
        assert not any(SECRET.hex() in name for name in names)


def test_the_same_text_of_two_users_does_not_show():
    turn = RiskyTurn((), "digest", 0.0)
    assert Pseudonyms().turn(turn, "ann").digest != Pseudonyms().turn(turn, "bob").digest


@pytest.mark.parametrize("secret", [b"", b"short", "a text of sixteen letters"])
def test_a_weak_secret_is_refused(secret):
    with pytest.raises(SettingsError, match="16 random bytes"):
        Pseudonyms(secret)


def test_who_it_is_stays_out_of_the_repr():
    assert repr(ConversationKey("acme", "ann", "thread")) == "ConversationKey(tenant='acme')"


@pytest.mark.parametrize("names", [(1, "a", "b"), (None, 1, "b"), (None, "a", 1), (None, b"a", None)])
def test_a_name_is_text_or_none(names):
    with pytest.raises(ConversationMemoryError, match="text or None"):
        ConversationKey(*names)


@pytest.mark.parametrize(
    ("digest", "at"), [("", 0.0), (None, 0.0), ("d", float("nan")), ("d", float("inf")), ("d", "now")]
)
def test_a_turn_has_a_digest_and_a_time(digest, at):
    with pytest.raises(ConversationMemoryError, match=r"digest|time"):
        RiskyTurn(("hate",), digest, at)
