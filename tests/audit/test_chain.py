"""Laws of lines: canonical bytes, sealed by the key, checked before they are parsed."""

import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.audit import AuditKey, Head
from rose_guard.audit import chain as chain_module
from rose_guard.audit.chain import MAX_LINE_BYTES, NotALineError, canonical, next_line, read_line
from rose_guard.errors import AuditError
from tests.audit.samples import KEY, SECRET

START = Head.before("c" * 32)
TIME = "2026-01-01T00:00:00.000000Z"
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
payloads = st.dictionaries(st.text(), values, max_size=4)


def line_of(payload, kind="end"):
    return next_line(START, kind, payload, TIME, KEY)


def sealed(body):
    """A line of somebody who has the key, whatever it says."""
    return body[:-1] + b',"mac":"' + KEY.mac(body).encode() + b'"}'


@given(payloads)
def test_what_is_written_is_what_is_read(payload):
    data, head = line_of(payload)
    line = read_line(data[:-1], KEY)
    assert (line.payload, line.sequence, line.mac) == (payload, head.sequence, head.mac)
    assert (line.chain, line.previous, line.time, line.kind) == (START.chain, START.mac, TIME, "end")


@given(payloads)
def test_a_line_is_one_line_of_json_in_ascii_with_all_its_fields(payload):
    data, _ = line_of(payload)
    assert data.isascii()
    assert data.endswith(b"}\n")
    assert data.count(b"\n") == 1
    assert set(json.loads(data)) == {"version", "sequence", "time", "chain", "kind", "payload", "previous", "mac"}


@given(payloads)
def test_the_mac_is_hmac_sha256_over_the_canonical_json_of_everything_else(payload):
    data, _ = line_of(payload)
    fields = json.loads(data)
    mac = fields.pop("mac")
    extracted = hmac.digest(b"rose_guard audit 1", SECRET, "sha256")
    chaining = hmac.digest(extracted, b"chain\x01", "sha256")
    body = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    assert mac == hmac.digest(chaining, body, "sha256").hex()


@given(st.dictionaries(st.text(), st.integers(), max_size=6), st.randoms())
def test_the_order_of_keys_does_not_matter(payload, random):
    shuffled = list(payload.items())
    random.shuffle(shuffled)
    assert canonical(payload) == canonical(dict(shuffled))


@given(payloads, st.data())
def test_no_bit_of_a_line_can_be_another(payload, data):
    text = line_of(payload)[0][:-1]
    bit = data.draw(st.integers(0, len(text) * 8 - 1))
    flipped = bytearray(text)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(NotALineError):
        read_line(bytes(flipped), KEY)


@given(payloads)
def test_another_key_reads_nothing(payload):
    with pytest.raises(NotALineError, match="MAC"):
        read_line(line_of(payload)[0][:-1], AuditKey(b"x" * 32))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_line(data):
    with pytest.raises(NotALineError):
        read_line(data, KEY)
    with pytest.raises(NotALineError):
        read_line(data + b',"mac":"' + b"0" * 64 + b'"}', KEY)


def test_nothing_is_parsed_that_the_key_did_not_seal(monkeypatch):
    monkeypatch.setattr(chain_module, "_parsed", lambda _: pytest.fail("parsed"))
    with pytest.raises(NotALineError):
        read_line(b"[" * 100_000 + b',"mac":"' + b"0" * 64 + b'"}', KEY)


GOOD = canonical({"chain": "c", "kind": "k", "payload": {}, "previous": "p", "sequence": 0, "time": "t", "version": 1})


@pytest.mark.parametrize(
    "body",
    [
        GOOD.replace(b"{}", b'{"a":NaN}'), GOOD.replace(b"{}", b'{"a":Infinity}'), GOOD.replace(b"{}", b'{"a":1e999}'),
        GOOD.replace(b"{}", b'{"a":1,"a":1}'), GOOD.replace(b'"t"', b'"t","time":"t"'), GOOD.replace(b"{}", b"[]"),
        GOOD.replace(b"{}", b'{"a":' + b"9" * 5000 + b"}"), GOOD.replace(b"{}", b"[" * 100_000), GOOD.replace(b":0", b":0.0"),
        GOOD.replace(b":0", b":false"), GOOD.replace(b":1", b":2"), GOOD.replace(b'"k"', b"1"), GOOD.replace(b'"t"', b'"\xff"'),
        GOOD.replace(b'"t"', b'"\xc3\xa9"'), GOOD.replace(b"time", b"tame"), GOOD[:-1], b"{}", b'"}', b"null}",
    ],
)  # fmt: skip
def test_hostile_json_is_refused_even_with_the_key(body):
    assert read_line(sealed(GOOD), KEY)
    with pytest.raises(NotALineError):
        read_line(sealed(body), KEY)


def circle():
    inside = {}
    inside["inside"] = inside
    return inside


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), object(), {1, 2}, b"bytes", circle(), {("a", "b"): 1}])
def test_what_json_cannot_write_is_refused_and_not_quoted(value):
    with pytest.raises(AuditError, match="JSON cannot write") as raised:
        line_of({"secret": value})
    assert "secret" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_line_that_no_reader_would_read_is_not_written(monkeypatch):
    monkeypatch.setattr(chain_module, "MAX_LINE_BYTES", 1000)
    longest = next(n for n in range(1000) if len(line_of({"text": "x" * n})[0]) == 1000)
    with pytest.raises(AuditError, match="longer than a line may be"):
        line_of({"text": "x" * (longest + 1)})
    assert MAX_LINE_BYTES == 16 * 1024 * 1024
