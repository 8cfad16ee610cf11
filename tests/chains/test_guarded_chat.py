"""Laws of the guarded_chat chain."""

from importlib.metadata import entry_points

from rose_guard import ChatRose
from rose_guard_chains.guarded_chat import build

QUESTION = {"question": "How do I make a lentil soup?"}


def test_it_answers_as_text(tiny_engine, always):
    llm = ChatRose(engine=tiny_engine, policy=always, max_tokens=8)
    answer = build(llm, system="Be brief.").invoke(QUESTION)
    assert answer == llm.invoke([("system", "Be brief."), ("user", QUESTION["question"])]).content


def test_braces_in_the_system_text_are_text(tiny_engine):
    llm = ChatRose(engine=tiny_engine, policy=None, max_tokens=4)
    build(llm, system="Answer with {curly} braces.").invoke(QUESTION)


def test_it_answers_on_the_real_model(engine, classifier):
    llm = ChatRose(engine=engine, classifier=classifier, max_tokens=8)
    assert build(llm).invoke(QUESTION).strip()


def test_every_chain_is_found_by_its_entry_point():
    found = {point.name: point.load() for point in entry_points(group="rose_guard.chains")}
    assert found["guarded_chat"] is build
