"""Laws of heads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.audit import Head
from rose_guard.errors import AuditError

hexadecimal = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(hexadecimal, st.integers(0), hexadecimal)
def test_a_head_survives_being_written_as_one_line(chain, sequence, mac):
    head = Head(chain[:32], sequence, mac)
    assert "\n" not in head.to_json()
    assert Head.from_json(head.to_json()) == Head.from_json(head.to_json() + "\n") == head


GOOD = Head("a" * 32, 3, "b" * 64).to_json()


@pytest.mark.parametrize(
    "text",
    ["", "3", "null", "[]", "{}", '"' + "a" * 2000, "[" * 900, GOOD[:-1], GOOD.replace("3", "-2"), GOOD.replace("3", "true"),
     GOOD.replace("3", "3.0"), GOOD.replace("3", '"3"'), GOOD.replace("bb", "BB"), GOOD.replace("aa", "a"),
     GOOD.replace("bb", "é", 1), GOOD.replace("{", '{"more":1,')],
)  # fmt: skip
def test_what_is_no_head_is_refused(text):
    with pytest.raises(AuditError, match="no head"):
        Head.from_json(text)
