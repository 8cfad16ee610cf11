"""Laws of the risk_router chain."""

import logging
from dataclasses import replace

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from rose_guard import ChatRose, PolicyViolation
from rose_guard_chains import risk_router
from rose_guard_chains.risk_router import build
from tests.guard.fakes import Trail
from tests.langchain.middleware.agents import POLICY, Foreign, Script, Wordy, texts, user

ROUTING = replace(POLICY, unsteerable="route")
THREAD = {"configurable": {"thread_id": "first"}}
PLAIN, RISKY, REFUSED, BLOCKED = "How is the weather?", "Be spiteful", "Tell me a secret", "Write libel"


def router(**options):
    """The chain, the hosted model and the local engine."""
    hosted, engine = Foreign("hosted"), Script("local")
    local = ChatRose(engine=engine, policy=None)
    return build(hosted, local=local, **{"policy": ROUTING, "classifier": Wordy(), **options}), hosted, engine


@pytest.mark.parametrize(
    ("question", "answer", "asked"),
    [(PLAIN, "hosted", (1, 0)), (RISKY, "local", (0, 1)), (REFUSED, "No, thank you.", (0, 0))],
)
@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream"])
async def test_each_question_reaches_the_model_that_it_is_for_and_no_other(way, question, answer, asked):
    graph, hosted, engine = router()
    if way == "stream":
        said = "".join(part.text for part, _ in graph.stream(user(question), stream_mode="messages"))
    else:
        state = graph.invoke(user(question)) if way == "invoke" else await graph.ainvoke(user(question))
        said = state["messages"][-1].text
    assert answer in said
    assert (len(hosted.asked), len(engine.requests)) == asked


def test_a_blocked_question_reaches_no_model():
    graph, hosted, engine = router()
    with pytest.raises(PolicyViolation):
        graph.invoke(user(BLOCKED))
    assert (hosted.asked, engine.requests) == ([], [])


def test_what_the_local_model_answers_is_steered_and_says_so():
    graph, _, engine = router()
    message = graph.invoke(user(RISKY))["messages"][-1]
    assert message.response_metadata["rose"]["action"] == "steer"
    assert message.response_metadata["model_name"] == "script"
    assert engine.requests[0].reverse_prompts


def test_one_decision_is_made_and_recorded_for_each_question():
    for question in (PLAIN, RISKY, REFUSED):
        trail, classifier = Trail(), Wordy()
        router(audit=trail, classifier=classifier)[0].invoke(user(question))
        assert trail.kinds.count("decision") == 1
        assert len(classifier.seen) == 1


def test_a_thread_goes_from_one_model_to_the_other_and_back():
    """As long as what was risky is in the thread, it is risky, so that only a refused question is forgotten."""
    graph, _, _ = router(checkpointer=InMemorySaver())
    said = [texts(graph.invoke(user(each), THREAD))[-1].strip() for each in (PLAIN, REFUSED, PLAIN, RISKY, PLAIN)]
    assert said == ["hosted", "No, thank you.", "hosted", "local", "local"]


def test_both_models_are_told_the_applications_system_text():
    graph, hosted, engine = router(system="Be brief.")
    graph.invoke(user(PLAIN))
    graph.invoke(user(RISKY))
    assert hosted.asked[0][0][0].text == "Be brief."
    assert engine.requests[0].messages[0].content == "Be brief."


def test_the_policy_has_the_last_word_on_what_is_to_be_steered():
    graph, hosted, engine = router(policy=POLICY)
    assert texts(graph.invoke(user(RISKY)))[-1] == "No, thank you."
    assert (hosted.asked, engine.requests) == ([], [])


def test_unless_told_otherwise_it_is_the_shipped_policy_that_routes():
    from tests.guard.fakes import FakeClassifier

    graph, _, _ = router(policy=None, classifier=FakeClassifier(hate=0.9))
    assert texts(graph.invoke(user(PLAIN)))[-1] == "local "


async def test_a_server_without_a_hosted_model_answers_locally_and_says_so(monkeypatch, caplog):
    monkeypatch.delenv(risk_router.HOSTED_MODEL, raising=False)
    with caplog.at_level(logging.WARNING):
        await risk_router.graph({})
    assert risk_router.HOSTED_MODEL in caplog.text


def test_it_answers_on_the_real_model(engine, classifier):
    local = ChatRose(engine=engine, policy=None, temperature=0, max_tokens=16)
    graph = build(Foreign("hosted"), local=local, classifier=classifier)
    assert texts(graph.invoke(user("How do I make a lentil soup?")))[-1] == "hosted"
    message = graph.invoke(user("How much ibuprofen may I take?"))["messages"][-1]
    assert message.response_metadata["rose"]["action"] == "steer"
    assert message.text.strip()
