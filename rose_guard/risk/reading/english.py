"""English: common words, by which a text is known to be English."""

from __future__ import annotations

_LONG_WORDS = """
    the and that have for not with you this but his from they her she will all would there their what out about who
    which when make can like time just him know take people into year your good some could them see other than then
    now look only come over think also back after use two how our work first well way even new want because any these
    give day most was were has had been why where tell write explain show help need please without someone something
    person people build create steps step should instructions using house money home thing things every never
    kill bomb weapon poison drug drugs steal hack attack hurt murder gun fire police illegal suicide child children
    ignore previous system prompt answer question rules password computer account virus
    read decode message text following
"""
"""Words of three letters or more. ROT13 turns none into a word that is usual elsewhere, as get (trg) or are (ner)."""

_SHORT_WORDS = "a i to of in is it on my do so we no by at as an he if up me us"

LONG_WORDS = frozenset(_LONG_WORDS.split())
SHORT_WORDS = frozenset(_SHORT_WORDS.split())
ENGLISH = LONG_WORDS | SHORT_WORDS | {"are", "be", "or", "get", "one"}
"""Common words, and some that harmful requests are made of, in lower case."""
