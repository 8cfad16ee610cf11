"""Laws of escalation: risky turns are counted for whom they belong to, and what cannot be counted counts as too many."""

from dataclasses import replace

import pytest

from rose_guard import ConversationMemoryError, Guard, Message, Policy, PolicyError, SettingsError
from rose_guard.assessment import Span
from rose_guard.guard import GenerationOptions
from rose_guard.memory.in_memory import InMemoryConversations
from tests.guard.fakes import FakeClassifier, FakeEngine

POLICY = Policy.from_yaml("""
version: 1
hazards:
  hate: {escalate: {after: 2, within_s: 600, action: refuse, notify: true}}
tenants:
  strict: {hazards: {hate: {action: refuse}}}
""")


def turn(number):
    return [Message("user", f"turn {number}")]


def actions(guard, options, numbers=range(4)):
    return [guard.decide(turn(number), options=options).action for number in numbers]


def risky(**kwargs):
    memory = kwargs.pop("memory", None) or InMemoryConversations()
    return Guard(FakeEngine(), classifier=FakeClassifier(hate=0.9), policy=POLICY, memory=memory, **kwargs)


def test_a_guard_that_is_made_anew_forgets_nothing():
    someone = GenerationOptions(principal="whoever comes back")
    guards = [Guard(FakeEngine(), classifier=FakeClassifier(hate=0.9), policy=POLICY) for _ in range(3)]
    found = [guard.decide(turn(number), options=someone).action for number, guard in enumerate(guards)]
    assert found == ["steer", "steer", "refuse"]


def test_an_empty_memory_is_a_memory():
    class Empty(InMemoryConversations):
        def __len__(self):
            return 0

    memory = Empty()
    guard = Guard(FakeEngine(), classifier=FakeClassifier(hate=0.9), policy=POLICY, memory=memory)
    assert guard.memory is memory


ANN = GenerationOptions(principal="ann")


def test_after_so_many_risky_turns_the_next_one_is_treated_more_strictly():
    assert actions(risky(), ANN) == ["steer", "steer", "refuse", "refuse"]


def test_a_fresh_thread_forgets_nothing_of_a_principals_turns():
    guard = risky()
    threads = [GenerationOptions(principal="ann", thread=str(i)) for i in range(3)]
    assert [guard.decide(turn(i), options=options).action for i, options in enumerate(threads)][-1] == "refuse"


def test_the_same_words_in_a_fresh_thread_are_another_turn():
    guard = risky()
    threads = [GenerationOptions(principal="ann", thread=str(i)) for i in range(3)]
    assert [guard.decide(turn(0), options=options).action for options in threads] == ["steer", "steer", "refuse"]


def test_another_principal_and_another_tenant_start_from_nothing():
    guard = risky()
    actions(guard, ANN)
    assert actions(guard, GenerationOptions(principal="bob"))[0] == "steer"


def test_the_same_conversation_judged_again_is_the_same_turn():
    assert actions(risky(), ANN, [1, 1, 1, 1]) == ["steer"] * 4


def test_without_principal_and_thread_nothing_is_counted():
    assert actions(risky(), GenerationOptions()) == ["steer"] * 4


def test_a_harmless_turn_is_not_counted_and_not_punished():
    guard = risky()
    actions(guard, ANN)
    guard.classifier = FakeClassifier()
    assert guard.decide(turn(9), options=ANN).action == "allow"


def test_turns_that_cannot_be_counted_count_as_too_many():
    class Broken:
        def count_and_add(self, key, turn, windows):
            raise ConversationMemoryError("the disk is gone")

    assert actions(risky(memory=Broken()), ANN, [1]) == ["refuse"]


@pytest.mark.parametrize("given", [{}, None, {"hate": None}, {"hate": "many"}])
def test_counts_that_are_no_counts_count_as_too_many(given):
    class Careless:
        def count_and_add(self, key, turn, windows):
            return given

    assert actions(risky(memory=Careless()), ANN, [1]) == ["refuse"]


@pytest.mark.parametrize("error", [OSError(), OverflowError(), RuntimeError("secret")])
def test_whatever_a_memory_raises_counts_as_too_many(error, caplog):
    class Broken:
        def count_and_add(self, key, turn, windows):
            raise error

    assert actions(risky(memory=Broken()), ANN, [1]) == ["refuse"]
    assert "secret" not in caplog.text


class FirstIsWorst(FakeClassifier):
    """Says of every conversation that its first message gave the score."""

    def classify(self, messages):
        return replace(super().classify(messages), spans={"hate": Span(0, 0, 5)})


def test_the_steps_of_a_tool_loop_are_one_turn():
    guard, conversation, found = risky(), [*turn(0)], []
    for number in range(4):
        found.append(guard.decide(conversation, options=ANN).action)
        conversation += [Message("assistant", "I look it up."), Message("tool", f"result {number}")]
    assert found == ["steer"] * 4


def test_a_turn_judged_without_the_system_message_and_with_it_is_one_turn():
    guard, found = risky(), []
    for system in ([], [Message("system", "You are Acme's bot.")], [Message("system", "Be brief.")]):
        found.append(guard.decide([*system, *turn(0)], options=ANN).action)
    assert found == ["steer"] * 3


def test_what_was_said_before_a_turn_makes_it_another_one_wherever_the_system_message_stands():
    guard, found = risky(), []
    for said in ("a", "b", "c"):
        conversation = [Message("user", said), Message("assistant", "No."), Message("system", "Be kind."), *turn(0)]
        found.append(guard.decide(conversation, options=ANN).action)
    assert found == ["steer", "steer", "refuse"]


def test_whoever_begins_with_the_worst_is_still_counted():
    guard, conversation, found = risky(), [*turn(0)], []
    guard.classifier = FirstIsWorst(hate=0.9)
    for number in range(1, 4):
        found.append(guard.decide(conversation, options=ANN).action)
        conversation += [Message("assistant", "No."), Message("user", f"once more {number}")]
    assert found == ["steer", "steer", "refuse"]


@pytest.mark.parametrize("name", ["principal", "thread", "tenant"])
@pytest.mark.parametrize("value", ["", 5, "\ud800"])
def test_a_name_is_a_name(name, value):
    with pytest.raises(SettingsError, match=name):
        GenerationOptions(**{name: value})


def test_principals_of_two_tenants_share_no_cache():
    owners = []
    for tenant in ("strict", None):
        guard = risky(tenant=tenant)
        guard.classifier = FakeClassifier()
        guard.answer(turn(0), options=ANN)
        owners.append(guard.engine.requests[0].principal)
    assert owners[0] != owners[1]


def test_an_async_on_notify_is_refused():
    async def tell(decision):
        pass

    with pytest.raises(SettingsError, match="on_notify"):
        risky(on_notify=tell)


def test_a_human_is_told_once_per_decision_and_cannot_change_it():
    told = []

    def tell(decision):
        told.append(decision.notify)
        raise RuntimeError("pager is down")

    assert actions(risky(on_notify=tell), ANN) == ["steer", "steer", "refuse", "refuse"]
    assert told == [("hate",), ("hate",)]


async def test_async_counts_as_sync():
    guard = risky()
    found = [(await guard.adecide(turn(number), options=ANN)).action for number in range(3)]
    assert found == ["steer", "steer", "refuse"]


def test_a_guards_tenant_is_the_constructors_or_the_options_never_both():
    assert risky(tenant="strict").decide(turn(1)).action == "refuse"
    assert risky().decide(turn(1), options=GenerationOptions(tenant="strict")).action == "refuse"
    with pytest.raises(SettingsError):
        risky(tenant="strict").decide(turn(1), options=GenerationOptions(tenant="other"))


def test_an_unknown_tenant_is_refused_and_never_falls_back():
    with pytest.raises(PolicyError):
        risky(tenant="nobody")
    with pytest.raises(PolicyError):
        risky().decide(turn(1), options=GenerationOptions(tenant="nobody"))
