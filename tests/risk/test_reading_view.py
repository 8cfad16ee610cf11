"""Laws of views: what is read, and where it stood as written."""

from hypothesis import given
from hypothesis import strategies as st

from rose_guard.risk.reading import View


@st.composite
def edited(draw):
    """A text and edits of it."""
    text = draw(st.text(max_size=30))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    return text, [(start, end, draw(st.text(max_size=4))) for start, end in pairs]


def test_the_written_view_is_the_text_and_maps_every_span_to_itself():
    view = View.written("soup")
    assert (view.text, view.kind) == ("soup", "written")
    assert [view.source(a, b) for a in range(5) for b in range(a, 5)] == [(a, b) for a in range(5) for b in range(a, 5)]


def test_kinds_name_what_was_undone_in_order_and_once():
    view = View.written("abc").edited("unicode", [(0, 1, "x")]).edited("base64", [(1, 2, "y")])
    assert view.kind == "unicode+base64"
    assert view.edited("unicode", [(2, 3, "z")]).kind == "unicode+base64"


def test_edits_that_change_nothing_give_the_view_itself():
    view = View.written("abc")
    assert view.edited("unicode", []) is view
    assert view.edited("unicode", [(0, 2, "ab")]) is view


def test_a_character_that_stands_for_a_run_comes_from_the_whole_run():
    view = View.written("a%62c").edited("percent", [(1, 4, "b")])
    assert view.text == "abc"
    assert [view.source(i, i + 1) for i in range(3)] == [(0, 1), (1, 4), (4, 5)]
    assert view.source(0, 3) == (0, 5)


def test_what_was_taken_out_at_an_edge_is_no_part_of_a_span():
    view = View.written("-ab-c-").edited("unicode", [(0, 1, ""), (3, 4, ""), (5, 6, "")])
    assert view.text == "abc"
    assert view.source(0, 2) == (1, 3)
    assert view.source(2, 3) == (4, 5)
    assert view.source(1, 3) == (2, 5)


def test_spans_go_back_through_every_edit():
    view = View.written("%2541!").edited("percent", [(0, 3, "%")]).edited("percent", [(0, 3, "A")])
    assert view.text == "A!"
    assert view.source(0, 1) == (0, 5)
    assert view.source(1, 2) == (5, 6)


@given(edited())
def test_what_was_not_edited_maps_to_itself_and_replacements_to_what_they_replaced(case):
    text, edits = case
    view, shift, done = View.written(text).edited("x", edits), 0, 0
    for start, end, replacement in edits:
        assert all(view.source(i + shift, i + shift + 1) == (i, i + 1) for i in range(done, start))
        if replacement:
            at = start + shift
            assert view.source(at, at + len(replacement)) == (start, end) or view.text == text
        shift += len(replacement) - (end - start)
        done = end


@given(edited(), st.data())
def test_spans_are_in_order_and_within_the_text(case, data):
    text, edits = case
    view = View.written(text).edited("x", edits)
    start = data.draw(st.integers(0, len(view.text)))
    end = data.draw(st.integers(start, len(view.text)))
    first, last = view.source(start, end)
    assert 0 <= first <= last <= len(text)
    assert (first == last) == (start == end)
    if start < end:
        assert first == view.source(start, start + 1)[0]
        assert last == view.source(end - 1, end)[1]
