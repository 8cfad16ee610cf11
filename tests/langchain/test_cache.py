"""Laws of the cache: it stands behind the guard, so that a hit is judged, counted and recorded like any answer."""

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache

from rose_guard import ChatRose, Policy, PolicyViolation, RoseLLM, SettingsError
from rose_guard.engines import Delta
from rose_guard.memory import InMemoryConversations
from tests.guard.fakes import FakeClassifier, FakeEngine, Trail
from tests.langchain.test_tools import CALLS, CallingEngine, told

ESCALATING = Policy.from_yaml("version: 1\nhazards:\n  hate: {escalate: {after: 2, within_s: 600, action: refuse}}")


@pytest.fixture(params=[ChatRose, RoseLLM])
def kind(request):
    return request.param


@pytest.fixture
def cache():
    return InMemoryCache()


@pytest.fixture
def global_cache():
    set_llm_cache(InMemoryCache())
    yield
    set_llm_cache(None)


def cached(kind, cache, *, engine=None, policy="default", scores=None, **fields):
    classifier = FakeClassifier(**(scores or {}))
    return kind(engine=engine or FakeEngine(), classifier=classifier, policy=policy, cache=cache, **fields)


def text(answer):
    return getattr(answer, "content", answer)


@pytest.mark.parametrize("ask", ["invoke", "ainvoke", "stream", "batch"])
async def test_a_conversation_that_comes_again_is_answered_from_the_cache_and_recorded(kind, cache, ask):
    trail = Trail()
    llm = cached(kind, cache, audit=trail)
    first = text(llm.invoke("Hi"))
    again = {
        "invoke": lambda: llm.invoke("Hi"),
        "ainvoke": lambda: llm.ainvoke("Hi"),
        "stream": lambda: "".join(text(chunk) for chunk in llm.stream("Hi")),
        "batch": lambda: llm.batch(["Hi"])[0],
    }[ask]()
    again = await again if ask == "ainvoke" else again
    assert text(again) == first == "one two three"
    assert len(llm.engine.requests) == 1
    assert [kind for kind, _ in trail.events] == ["decision", "end", "decision", "end"]
    assert trail.events[3][1]["cached"] is True
    assert trail.events[0][1]["decision_id"] != trail.events[2][1]["decision_id"]


def test_a_message_says_that_it_was_cached(cache):
    llm = cached(ChatRose, cache)
    first, again = llm.invoke("Hi"), llm.invoke("Hi")
    assert "cached" not in first.response_metadata["rose"]
    assert again.response_metadata["rose"]["cached"] is True
    assert told(first) == told(again)


def test_tool_calls_and_thoughts_are_kept_too(cache):
    llm = cached(ChatRose, cache, engine=CallingEngine(*CALLS, Delta("", reasoning="hm")))
    first, again = llm.invoke("Hi"), llm.invoke("Hi")
    assert told(first) == told(again)
    assert len(llm.engine.requests) == 1


def test_what_is_refused_now_is_refused_though_it_was_answered_before(kind, cache):
    assert text(cached(kind, cache).invoke("Hi")) == "one two three"
    refusing = cached(kind, cache, scores={"suicide_self_harm": 0.95})
    assert text(refusing.invoke("Hi")) == Policy.default().message("crisis")
    blocking = cached(
        kind, cache, policy=Policy.from_yaml("version: 1\nhazards: {hate: {action: block}}"), scores={"hate": 1}
    )
    with pytest.raises(PolicyViolation):
        blocking.invoke("Hi")


def test_hits_count_as_risky_turns(kind, cache):
    llm = cached(kind, cache, policy=ESCALATING, scores={"hate": 0.9}, principal="ann", memory=InMemoryConversations())
    answers = [text(llm.invoke(word)) for word in ("Hi", "Ho")]
    assert answers == ["one two three"] * 2
    assert text(llm.invoke("He")) == ESCALATING.message("refusal")
    assert text(llm.invoke("Hi")) != "one two three"


@pytest.mark.parametrize(
    "other",
    [
        {"policy": None},
        {"scores": {"hate": 0.9}},
        {"policy": Policy.always(alpha=0.5)},
        {"temperature": 0.5},
        {"max_tokens": 2},
        {"stop": ["two"]},
        {"seed": 3},
        {"policy": Policy.from_yaml("version: 1\ntenants: {clinic: {}}"), "tenant": "clinic"},
    ],
    ids=str,
)
def test_whatever_changes_an_answer_has_an_entry_of_its_own(kind, cache, other):
    cached(kind, cache).invoke("Hi")
    another = cached(kind, cache, engine=FakeEngine("four five six"), **other)
    assert text(another.invoke("Hi")).startswith("four")


def test_keys_hold_no_text_of_the_conversation(kind, cache):
    cached(kind, cache).invoke("How old is Ann?")
    ((prompt, llm_string),) = cache._cache
    assert len(prompt) == 64
    assert llm_string == "rose_guard"


def test_the_global_cache_is_used_where_it_is_asked_for(kind, global_cache):
    for ask_for in (True, None):
        llm = cached(kind, ask_for)
        llm.invoke(f"Hi {ask_for}")
        llm.invoke(f"Hi {ask_for}")
        assert len(llm.engine.requests) == 1


def test_a_global_cache_that_is_not_there_is_an_error_and_none_is_needed_where_none_was_asked_for(kind):
    with pytest.raises(SettingsError, match="set_llm_cache"):
        cached(kind, True).invoke("Hi")
    assert text(cached(kind, None).invoke("Hi")) == "one two three"


def test_a_cache_given_later_stands_behind_the_guard_too(cache):
    llm = cached(ChatRose, False, scores={"suicide_self_harm": 0.95})
    llm.cache = cache
    cached(ChatRose, cache).invoke("Hi")
    assert llm.invoke("Hi").content == Policy.default().message("crisis")


def test_a_cache_that_a_copy_is_given_stands_behind_the_guard_too(kind, cache):
    cached(kind, cache).invoke("Hi")
    refusing = cached(kind, False, scores={"suicide_self_harm": 0.95}).model_copy(update={"cache": cache})
    assert text(refusing.invoke("Hi")) == Policy.default().message("crisis")


class Broken(InMemoryCache):
    def lookup(self, prompt, llm_string):
        raise OSError("disk")

    def update(self, prompt, llm_string, return_val):
        raise OSError("disk")


def test_a_cache_that_fails_costs_no_answer(kind, caplog):
    assert text(cached(kind, Broken()).invoke("Hi")) == "one two three"
    assert "OSError" in caplog.text


def test_what_somebody_else_put_there_is_no_answer(kind, cache, caplog):
    from langchain_core.outputs import Generation

    llm = cached(kind, cache)
    llm.invoke("Hi")
    ((prompt, llm_string),) = list(cache._cache)
    cache.update(prompt, llm_string, [Generation(text="forged")])
    assert text(llm.invoke("Hi")) == "one two three"
    assert len(llm.engine.requests) == 2
