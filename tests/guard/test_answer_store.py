"""Laws of kept answers: each conversation is judged all the same, and only what would be said again is said again."""

import dataclasses
import json
import logging
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard import AuditError, Decision, Guard, InputError, Message, Policy, PolicyViolation, RoseSettings
from rose_guard.engines import Contrast, Delta, GenerationRequest, Timing, TokenLogprob, Usage
from rose_guard.engines.engine import Tool
from rose_guard.guard import Answer, AnswerStore, GenerationOptions, OutputVerdict, Piece, Ruling, StoredAnswer
from rose_guard.guard.answer_key import Makers, answer_key
from rose_guard.memory.in_memory import InMemoryConversations
from rose_guard.message import ToolCall
from tests.guard.fakes import (
    FakeAnswerClassifier,
    FakeClassifier,
    FakeEngine,
    FakeStore,
    ScriptedEngine,
    Trail,
    Unsteerable,
    pieces_of,
)
from tests.policy.random_policies import assessment

HI = [Message("user", "Hi")]
CHECKED = Policy.from_yaml("version: 1\noutput: {enabled: true, window_tokens: 8, hold_back_tokens: 1}")
SHADOW = Policy.from_yaml("version: 1\nmode: shadow\noutput: {enabled: true, window_tokens: 8, hold_back_tokens: 1}")
REFUSAL = Policy.default().message("refusal")
CALL = ToolCall("search", '{"query": "soup"}', "call-1")
WHOLE = [
    Delta("", tokens=1, reasoning="hm ", logprobs=(TokenLogprob("hm", -0.5, (("hm", -0.5), ("no", -1.5))),)),
    Delta("one ", tokens=1),
    Delta("two", tokens=1, tool_calls=(CALL,)),
]
both = pytest.mark.parametrize("asynchronous", [False, True])


def guard_for(policy=None, *answers, store=None, engine=None, **parts):
    scores = parts.pop("scores", {})
    return Guard(
        engine or FakeEngine(*answers),
        classifier=FakeClassifier(**scores),
        policy=policy or Policy.default(),
        answer_classifier=FakeAnswerClassifier(),
        answers=FakeStore() if store is None else store,
        **parts,
    )


def said(answer):
    """What a reader gets of an answer, apart from whose it is and how long it took."""
    last = answer.last.delta
    parts = (last.finish_reason, last.usage, last.contrast, answer.last.verdict)
    return answer.text, answer.reasoning, answer.tool_calls, answer.logprobs, parts


@pytest.mark.parametrize("policy", [Policy.default(), CHECKED])
@both
async def test_a_conversation_that_comes_again_gets_the_same_answer_in_one_piece(policy, asynchronous):
    guard = guard_for(policy, engine=ScriptedEngine(WHOLE))
    first = await pieces_of(guard, HI, asynchronous=asynchronous)
    (again,) = await pieces_of(guard, HI, asynchronous=asynchronous)
    assert said(Answer.of([again])) == said(Answer.of(first))
    assert Answer.of(first).tool_calls == (CALL,)
    assert [piece.cached for piece in (*first, again)] == [False] * len(first) + [True]
    assert (again.delta.timing, again.delta.tokens) == (Timing(), 0)
    assert len(guard.engine.requests) == 1


@both
async def test_what_comes_again_is_judged_told_and_recorded_again(asynchronous):
    trail, told = Trail(), []
    policy = Policy.from_yaml("version: 1\nhazards: {hate: {escalate: {after: 1, within_s: 60, notify: true}}}")
    memory = InMemoryConversations()
    guard = guard_for(policy, audit=trail, scores={"hate": 0.9}, on_notify=told.append, memory=memory)
    who = [GenerationOptions(principal="ann", thread=thread) for thread in ("1", "2")]
    decisions = [(await pieces_of(guard, HI, options, asynchronous=asynchronous))[0].decision for options in who]
    assert len(guard.engine.requests) == 1
    assert len(guard.classifier.asked) == 2
    assert decisions[0].decision_id != decisions[1].decision_id
    assert [decision.decision_id for decision in told] == [decisions[1].decision_id]
    assert trail.kinds == ["decision", "end"] * 2
    first, again = (line for kind, line in trail.events if kind == "end")
    assert again == {**first, "decision_id": decisions[1].decision_id, "cached": True}


@both
async def test_a_kept_answer_helps_nobody_past_a_refusal_or_a_block(asynchronous):
    guard = guard_for()
    await pieces_of(guard, HI, asynchronous=asynchronous)
    guard.classifier = FakeClassifier(suicide_self_harm=0.95)
    (refused,) = await pieces_of(guard, HI, asynchronous=asynchronous)
    assert (refused.text, refused.cached) == (Policy.default().message("crisis"), False)
    blocking = Policy.from_yaml("version: 1\nhazards: {hate: {action: block}}")
    guard = guard_for(blocking, store=guard.answer_store, scores={"hate": 0.9})
    with pytest.raises(PolicyViolation):
        await pieces_of(guard, HI, asynchronous=asynchronous)


@pytest.mark.parametrize("policy", [Policy.default(), CHECKED])
@both
async def test_so_many_answers_come_again_as_were_asked_for(policy, asynchronous):
    engine = FakeEngine("one", "two", "three") if policy is CHECKED else Many("one two")
    guard, options = guard_for(policy, engine=engine), GenerationOptions(n=3)
    first = Answer.all_of(await pieces_of(guard, HI, options, asynchronous=asynchronous))
    decoded = len(guard.engine.requests)
    pieces = await pieces_of(guard, HI, options, asynchronous=asynchronous)
    assert [piece.delta.index for piece in pieces] == [0, 1, 2]
    assert [said(answer) for answer in Answer.all_of(pieces)] == [said(answer) for answer in first]
    assert len(guard.engine.requests) == decoded


class Many(FakeEngine):
    """Gives all of a request's answers."""

    def _deltas(self, request, answer):
        for index in range(request.n):
            for delta in super()._deltas(request, f"{index} {answer}"):
                yield dataclasses.replace(delta, index=index)


def test_many_conversations_are_found_each_by_itself():
    guard = guard_for(None, "a", "b", "c")
    conversations = [[Message("user", text)] for text in ("x", "y")]
    first = guard.answers(conversations)
    again = guard.answers([*conversations, HI])
    assert [answer.text for (answer,) in first] == ["a", "b"]
    assert [(answer.text, answer.last.cached) for (answer,) in again] == [("a", True), ("b", True), ("c", False)]


# What is kept.


@pytest.mark.parametrize("policy", [Policy.default(), CHECKED])
@both
async def test_what_was_refused_or_not_recorded_is_not_kept(policy, asynchronous):
    store = FakeStore()
    await pieces_of(guard_for(policy, store=store, audit=Trail("end")), HI, asynchronous=asynchronous)
    await pieces_of(guard_for(CHECKED, "a bad b", store=store), HI, asynchronous=asynchronous)
    assert store.kept == {}


def test_one_of_several_that_is_not_whole_leaves_none_of_them_kept():
    guard = guard_for(CHECKED, "fine", "a bad b")
    guard.answers([HI], options=GenerationOptions(n=2))
    assert guard.answer_store.kept == {}


def test_a_call_that_cannot_be_read_is_not_kept():
    guard = guard_for(engine=ScriptedEngine([Delta("a", tokens=1, broken_call="{")]))
    guard.answer(HI)
    assert guard.answer_store.kept == {}


def test_an_answer_of_which_the_reader_went_away_is_not_kept():
    guard = guard_for()
    pieces = guard.stream(HI)
    next(pieces)
    pieces.close()
    assert guard.answer_store.kept == {}


def test_an_answer_at_its_limit_is_kept_and_one_with_a_verdict_keeps_it():
    class Short(FakeEngine):
        def _deltas(self, request, answer):
            for delta in super()._deltas(request, answer):
                yield dataclasses.replace(delta, finish_reason=delta.finish_reason and "length")

    guard = guard_for(SHADOW, engine=Short("a bad b"))
    first, again = guard.answer(HI), guard.answer(HI)
    assert again.last.cached
    assert said(again) == said(first)
    assert again.last.verdict == OutputVerdict("release", 0.9)


def test_draws_without_a_seed_are_kept_too():
    guard, options = guard_for(), GenerationOptions(RoseSettings(temperature=1.0))
    assert [guard.answer(HI, options=options).last.cached for _ in range(2)] == [False, True]


# Stores that fail.


@pytest.mark.parametrize("fault", [OSError("secret words"), ValueError("secret words"), MemoryError()])
@both
async def test_a_store_that_fails_is_a_miss_and_says_nothing_of_the_text(fault, asynchronous, caplog):
    guard = guard_for(store=FakeStore(fault=fault))
    with caplog.at_level(logging.WARNING):
        answer = Answer.of(await pieces_of(guard, HI, asynchronous=asynchronous))
    assert (answer.text, answer.last.cached) == ("one two three", False)
    assert caplog.text.count(type(fault).__name__) == 2  # found nothing, kept nothing
    assert "secret" not in caplog.text


STORED = StoredAnswer("stored", "stop")
NONSENSE = {
    "a text": "stored",
    "an answer by itself": STORED,
    "too few": (),
    "too many": (STORED, STORED),
    "no answers": ("stored",),
    "half": (None,),
    "checked by nobody": (dataclasses.replace(STORED, verdict=OutputVerdict("release", 0.1)),),
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
@both
async def test_nonsense_is_a_miss(nonsense, asynchronous, caplog):
    guard = guard_for(store=FakeStore(nonsense=nonsense))
    assert Answer.of(await pieces_of(guard, HI, asynchronous=asynchronous)).text == "one two three"
    assert "stored" not in caplog.text
    assert len(caplog.records) == 1


@both
async def test_what_was_never_checked_is_a_miss_where_answers_are_checked(asynchronous):
    guard = guard_for(CHECKED, "a bad b", store=FakeStore(nonsense=(STORED,)))
    assert Answer.of(await pieces_of(guard, HI, asynchronous=asynchronous)).text == f"a \n\n{REFUSAL}"


@pytest.mark.parametrize("policy", [Policy.default(), CHECKED])
@both
async def test_a_kept_answer_whose_end_cannot_be_recorded_is_a_refusal(policy, asynchronous):
    store = FakeStore()
    await pieces_of(guard_for(policy, store=store, engine=ScriptedEngine(WHOLE)), HI, asynchronous=asynchronous)
    guard = guard_for(policy, store=store, audit=Trail("end"), engine=ScriptedEngine(WHOLE))
    (piece,) = await pieces_of(guard, HI, asynchronous=asynchronous)
    assert (piece.text, piece.delta.finish_reason, piece.cached) == (REFUSAL, "content_filter", False)
    assert (piece.delta.tool_calls, piece.delta.reasoning, piece.delta.logprobs) == ((), "", ())
    assert piece.verdict == (OutputVerdict("refuse", None) if policy is CHECKED else None)
    assert guard.engine.requests == []


@both
async def test_a_kept_answer_that_cannot_be_recorded_raises_where_the_policy_says_so_or_there_is_none(asynchronous):
    blocking, store = Policy.from_yaml("version: 1\non_audit_error: block"), FakeStore()
    for policy, error in ((blocking, PolicyViolation), (None, AuditError)):
        parts = {"classifier": FakeClassifier(), "policy": policy, "answers": store}
        Guard(FakeEngine(), **parts).answer(HI)
        with pytest.raises(error):
            await pieces_of(Guard(FakeEngine(), **parts, audit=Trail("end")), HI, asynchronous=asynchronous)


# Keys.


class Grammar:
    def __init__(self, identity=None):
        if identity is not None:
            self.identity = identity

    def token_mask(self, tokenizer, vocabulary):
        raise NotImplementedError


SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}}
TOOL = Tool("search", "finds pages", SCHEMA)


def key_of(options=None, messages=HI, policy=None, **parts):
    """The key of an answer; None where it was not kept."""
    guard = guard_for(policy, **parts)
    guard.answer(messages, options=options)
    keys = list(guard.answer_store.kept)
    assert all(len(key) == 64 and int(key, 16) >= 0 for key in keys)
    return keys[0] if keys else None


class Renamed(FakeEngine):
    model_id = "another"


CHANGES = {
    "messages": {"messages": [Message("user", "Hello")]},
    "system message": {"messages": [Message("system", "Be brief."), *HI]},
    "tools called": {"messages": [*HI, Message("assistant", "", tool_calls=(CALL,)), Message("tool", "a")]},
    "model": {"engine": Renamed()},
    "policy": {"policy": Policy.from_yaml("version: 1\nmax_total_alpha: 0.6")},
    "output check": {"policy": CHECKED},
    "mode": {"policy": Policy.from_yaml("version: 1\nmode: shadow")},
    "action": {"scores": {"hate": 0.9}},
    "branches": {"scores": {"privacy": 0.9}},
    "ruling": {
        "options": GenerationOptions(
            ruling=Ruling(CHECKED.decide(assessment(hate=0.9), "d"), CHECKED),
        )
    },
    "temperature": {"options": GenerationOptions(RoseSettings(temperature=0.5))},
    "seed": {"options": GenerationOptions(RoseSettings(seed=1))},
    "bias": {"options": GenerationOptions(RoseSettings(logit_bias={1: 2.0}))},
    "max_new_tokens": {"options": GenerationOptions(max_new_tokens=7)},
    "stop": {"options": GenerationOptions(stop=("x",))},
    "language": {"options": GenerationOptions(language="fr")},
    "n": {"options": GenerationOptions(n=2), "engine": Many("one")},
    "logprobs": {"options": GenerationOptions(logprobs=0)},
    "more logprobs": {"options": GenerationOptions(logprobs=2)},
    "tools": {"options": GenerationOptions(tools=(TOOL,))},
    "a tool's description": {"options": GenerationOptions(tools=(dataclasses.replace(TOOL, description="else"),))},
    "a tool's schema": {"options": GenerationOptions(tools=(dataclasses.replace(TOOL, parameters={}),))},
    "answer_schema": {"options": GenerationOptions(answer_schema=SCHEMA)},
    "constraint": {"options": GenerationOptions(constraint=Grammar("a"))},
    "another constraint": {"options": GenerationOptions(constraint=Grammar("b"))},
}


def test_whatever_changes_an_answer_changes_its_key():
    keys = {name: key_of(**parts) for name, parts in CHANGES.items()} | {"nothing": key_of()}
    assert None not in keys.values()
    assert len(set(keys.values())) == len(keys), keys


DECIDED = Decision("steer", "r", "p", "m", branches=(("hate", 0.5),), safe_prompt="hate")


@pytest.mark.parametrize(
    "changes",
    [
        *({"decision": change} for change in (
            {"action": "allow"}, {"policy_digest": "q"}, {"messages_digest": "n"}, {"branches": (("privacy", 0.5),)},
            {"branches": (("hate", 0.4),)}, {"safe_prompt": "privacy"}, {"horizon": 8}, {"mode": "shadow"},
        )),
        {"checking": CHECKED}, {"tenant": "clinic"}, {"language": "fr"}, {"makers": Makers("fake", "local")},
    ],
)  # fmt: skip
def test_each_part_of_a_decision_changes_the_key_by_itself(changes):
    def key(decision=None, makers=Makers("fake"), **told):  # noqa: B008 - frozen
        decided = dataclasses.replace(DECIDED, **(decision or {}))
        told = {"checking": None, "tenant": None, "language": "en", **told}
        return answer_key(GenerationRequest(messages=tuple(HI)), decided, makers, **told)

    assert key(**changes) != key()
    assert key() == key({"reason": "s", "decision_id": "another"})


@pytest.mark.parametrize("part", ["classifier", "answer_classifier"])
def test_another_version_of_a_classifier_changes_the_key(part):
    guard = guard_for()
    getattr(guard, part).name = "another"
    guard.answer(HI)
    assert list(guard.answer_store.kept) != [key_of()]


def test_two_tenants_share_no_answers_with_a_policy_or_without():
    tenants = Policy.from_yaml("version: 1\ntenants: {clinic: {}, school: {}}")
    for policy in (tenants, None):
        store = FakeStore()
        for tenant in ("clinic", "school", None):
            Guard(FakeEngine(), classifier=FakeClassifier(), policy=policy, tenant=tenant, answers=store).answer(HI)
        assert len(store.kept) == 3


def test_what_does_not_change_an_answer_does_not_change_its_key():
    same = [
        GenerationOptions(principal="ann", thread="t1"),
        GenerationOptions(RoseSettings(alpha=0.3, horizon=7)),  # the policy's choice, and replaced
        GenerationOptions(ruling=Ruling(Policy.default().decide(assessment(), "d"), Policy.default())),
    ]
    assert {key_of(options) for options in same} == {key_of()}
    frozen = dataclasses.replace(TOOL, parameters=MappingProxyType(dict(reversed(SCHEMA.items()))))
    assert key_of(GenerationOptions(tools=(frozen,))) == key_of(GenerationOptions(tools=(TOOL,)))


def test_what_was_routed_has_another_key_than_what_was_not():
    policy = Policy.from_yaml("version: 1\nunsteerable: route")
    store = FakeStore()
    for engine in (Unsteerable(), FakeEngine()):
        guard_for(policy, store=store, engine=engine, local=FakeEngine(), scores={"hate": 0.9}).answer(HI)
    assert len(store.kept) == 2


@pytest.mark.parametrize(
    "options",
    [
        GenerationOptions(constraint=Grammar()),
        GenerationOptions(constraint=Grammar("")),
        GenerationOptions(constraint=Grammar(3)),
        GenerationOptions(tools=(Tool("f", "", {"type": object()}),)),
        GenerationOptions(answer_schema={"a": 1, 2: 3}),
    ],
)
def test_what_cannot_be_told_from_something_else_is_neither_kept_nor_found(options):
    guard = guard_for()
    assert [guard.answer(HI, options=options).last.cached for _ in range(2)] == [False, False]
    assert guard.answer_store.kept == {}


def test_without_a_store_nobody_is_asked_for_a_name():
    class Nameless(FakeClassifier):
        @property
        def name(self):
            raise AssertionError

    guard = Guard(FakeEngine(), classifier=Nameless(), policy=Policy.default())
    assert guard.answer(HI).last.cached is False


# Answers as JSON.

texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 2**40)
stored = st.builds(
    StoredAnswer,
    texts,
    st.sampled_from(["stop", "length"]),
    st.none() | st.builds(Usage, counts, counts),
    st.none() | st.builds(Contrast, counts, counts),
    texts,
    st.lists(st.builds(ToolCall, texts, st.sampled_from(["{}", '{"a": [1, "é"]}']), st.none() | texts)).map(tuple),
    st.lists(st.builds(TokenLogprob, texts, numbers, st.lists(st.tuples(texts, numbers)).map(tuple))).map(tuple),
    st.none() | st.builds(OutputVerdict, st.just("release"), st.none() | st.floats(0, 1), counts),
)


@given(stored)
def test_an_answer_survives_json(answer):
    assert StoredAnswer.from_json(answer.to_json()) == answer
    assert "\n" not in answer.to_json()


@given(stored, st.data())
def test_json_of_another_shape_is_refused(answer, data):
    fields = json.loads(answer.to_json())
    name = data.draw(st.sampled_from(sorted(fields)))
    wrong = data.draw(st.sampled_from([3, {"x": 1}, ["x"], True]))
    with pytest.raises(InputError):
        StoredAnswer.from_json(json.dumps({**fields, name: wrong}))
    with pytest.raises(InputError):
        StoredAnswer.from_json(json.dumps({**fields, f"{name}s": None}))


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}", "{", "\x00", '{"text": "a"}', '{"text": "a", "finish_reason": "content_filter"}',
        '{"text": "\\ud800", "finish_reason": "stop"}', '{"text": null, "finish_reason": "stop"}',
        '{"text": "a", "finish_reason": "stop", "logprobs": [{"token": "a", "logprob": NaN}]}',
        '{"text": "a", "finish_reason": "stop", "tool_calls": [{"name": "f", "arguments": "[]"}]}',
        '{"text": "a", "finish_reason": "stop", "tool_calls": [{"name": "f", "extra": 1}]}',
        '{"text": "a", "finish_reason": "stop", "verdict": {"action": "refuse", "score": 0.9}}',
        '{"text": "a", "finish_reason": "stop", "usage": {"input_tokens": "7", "output_tokens": 1}}',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_stored_answer_is_refused_and_not_repeated(text):
    with pytest.raises(InputError) as caught:
        StoredAnswer.from_json(text)
    assert '"a"' not in str(caught.value)


@pytest.mark.parametrize(
    ("finish", "verdict"),
    [("stop", OutputVerdict("refuse", 0.9)), ("content_filter", None), (None, None)],
)
def test_an_answer_that_was_not_released_whole_is_not_to_be_kept(finish, verdict):
    piece = Piece(Delta("a", finish), guard_for().decide(HI), verdict)
    assert StoredAnswer.of(Answer.of([piece])) is None


def test_an_answer_that_was_not_released_cannot_be_made():
    with pytest.raises(InputError):
        StoredAnswer("a", "stop", verdict=OutputVerdict("refuse", 0.9))
    with pytest.raises(InputError):
        StoredAnswer("a", "content_filter")


def test_a_stored_answer_hides_its_text():
    assert "secret" not in repr(StoredAnswer("secret", "stop", reasoning="secret"))


def test_a_dict_is_enough_of_a_store():
    assert isinstance(FakeStore(), AnswerStore)


def test_pieces_are_not_cached_unless_they_say_so():
    assert Piece(Delta("a"), guard_for().decide(HI)).cached is False
