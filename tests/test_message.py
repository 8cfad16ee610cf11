"""Laws of messages and their digest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard import InputError, Message
from rose_guard.message import ROLES, digest

messages = st.lists(
    st.builds(Message, st.sampled_from(ROLES), st.text(max_size=5), st.none() | st.text(max_size=3)), max_size=4
)


@given(messages, messages)
def test_digests_are_equal_exactly_for_equal_conversations(one, other):
    assert (digest(one) == digest(other)) == (one == other)


@pytest.mark.parametrize(
    ("role", "content"),
    [("developer", "x"), ("", "x"), ("user", None), ("user", ["x"]), ("user", b"x"), ("user", "\ud800")],
)
def test_a_message_is_a_known_role_and_text(role, content):
    with pytest.raises(InputError):
        Message(role, content)
