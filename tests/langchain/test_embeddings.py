"""Laws of RoseEmbeddings, on the real encoder."""

import math

import pytest
from langchain_core.vectorstores import InMemoryVectorStore

from rose_guard.langchain.embeddings import TEXTS_AT_ONCE, RoseEmbeddings

TEXTS = ["The museum is open from ten to five.", "Lentils need twenty minutes.", ""]


@pytest.fixture(scope="module")
def embedded():
    return RoseEmbeddings().embed_documents(TEXTS)


def cosine(one, other):
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def test_every_embedding_has_384_numbers_and_length_1(embedded):
    for each in embedded:
        assert len(each) == 384
        assert cosine(each, each) == pytest.approx(1.0, abs=1e-5)


def test_a_text_has_one_embedding_whatever_is_embedded_beside_it(embedded):
    many = RoseEmbeddings().embed_documents([*TEXTS[1:], *["filler"] * TEXTS_AT_ONCE, TEXTS[0]])
    assert cosine(many[-1], embedded[0]) == pytest.approx(1.0, abs=1e-4)
    assert cosine(RoseEmbeddings().embed_query(TEXTS[0]), embedded[0]) == pytest.approx(1.0, abs=1e-4)


async def test_event_loops_get_the_same(embedded):
    assert cosine(await RoseEmbeddings().aembed_query(TEXTS[1]), embedded[1]) == pytest.approx(1.0, abs=1e-4)


def test_a_question_is_nearest_to_what_answers_it():
    store = InMemoryVectorStore.from_texts(TEXTS[:2], RoseEmbeddings())
    for question, text in (("When can I visit the gallery?", TEXTS[0]), ("How long do I cook them?", TEXTS[1])):
        assert store.similarity_search(question, k=1)[0].page_content == text


def test_the_end_of_a_long_text_counts():
    """More than one window's worth."""
    long = "The weather was mild and the streets were quiet. " * 30
    without, with_end = RoseEmbeddings().embed_documents([long, long + TEXTS[0] * 10])
    query = RoseEmbeddings().embed_query(TEXTS[0])
    assert cosine(query, with_end) > cosine(query, without) + 0.1


def test_no_texts_have_no_embeddings():
    assert RoseEmbeddings().embed_documents([]) == []
