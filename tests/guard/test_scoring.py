"""Whatever a classifier does or leaves undone, there are scores or a reason; and none is asked for what is too long."""

import threading
from types import SimpleNamespace

import pytest

from rose_guard import ClassifierError, Guard, Message, Policy
from rose_guard.guard import scoring
from rose_guard.guard.effect import Assess
from rose_guard.guard.scoring import MAX_CHARACTERS, assess, assess_many
from rose_guard.policy.policy import MAX_SCORING_S
from rose_guard.risk import apart, deadline
from rose_guard.risk.classifier import Classifier
from tests.guard.fakes import FakeClassifier, FakeEngine

HI = (Message("user", "hi"),)


class Ours(Classifier):
    """Takes so long for each conversation, remembers what it was asked, and fails at some."""

    name = "ours"

    def __init__(self, clock=None, seconds=0.0, failing=()):
        self.clock, self.seconds, self.failing, self.asked = clock or SimpleNamespace(now=0.0), seconds, failing, []

    def assess(self, messages):
        self.asked.append(messages[0].content)
        self.clock.now += self.seconds
        if messages[0].content in self.failing:
            raise ValueError
        return FakeClassifier(hate=0.5).classify(messages)


class Hanging(FakeClassifier):
    """Never looks at the clock."""

    def __init__(self):
        super().__init__()
        self.ends = threading.Event()

    def classify(self, messages):
        self.ends.wait(60)
        return super().classify(messages)


@pytest.fixture
def hanging(monkeypatch):
    monkeypatch.setattr(apart, "GRACE_S", 0.01)
    hanging = Hanging()
    yield hanging
    hanging.ends.set()


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def asked(*texts, seconds=None):
    return [Assess((Message("user", text),), seconds) for text in texts]


# Time


def test_a_classifier_that_hangs_leads_to_a_reason(hanging):
    assert "did not return" in assess(hanging, Assess(HI, 0.01))
    assert "earlier call" in assess(hanging, Assess(HI, 60.0))
    assert not hanging.asked


def test_a_guard_whose_classifier_hangs_refuses_and_goes_on(hanging):
    policy = Policy.from_yaml("version: 1\nclassifier: {timeout_s: 0.01}")
    guard = Guard(FakeEngine(), classifier=hanging, policy=policy)
    for _ in range(2):
        assert guard.decide(HI).action == "refuse"
    assert Guard(FakeEngine(), classifier=FakeClassifier(), policy=Policy.default()).decide(HI).action == "allow"


def test_a_late_batch_is_not_read_anew_one_by_one(clock):
    classifier = Ours(clock, seconds=5)
    found = assess_many(classifier, asked("a", "b", "c", seconds=1.0))
    assert all("timeout_s" in each for each in found)
    assert len(found) == len(classifier.asked) == 3


def test_what_is_left_of_a_failed_batchs_time_is_all_that_its_conversations_have(clock):
    classifier = Ours(clock, seconds=2, failing=["c"])
    found = assess_many(classifier, asked("a", "b", "c", "d", seconds=2.9))
    told = [each if isinstance(each, str) else each.hazards["hate"] for each in found]
    assert told[:3] == [0.5, 0.5, "ValueError"]  # each read twice, which took 12 seconds of 11.6
    assert "timeout_s" in told[3]
    assert classifier.asked == ["a", "b", "c", "a", "b", "c"]


def test_a_conversation_has_no_more_than_its_own_time_of_what_is_left(clock):
    classifier = Ours(clock, seconds=2, failing=["b"])
    one, other = assess_many(classifier, [*asked("b", seconds=60.0), *asked("a", seconds=1.0)])
    assert (one, "timeout_s" in other) == ("ValueError", True)


def test_a_batch_that_fails_early_is_scored_one_by_one():
    one, other, third = assess_many(Ours(failing=["b"]), asked("a", "b", "c", seconds=60.0))
    assert (one.hazards["hate"], other, third.hazards["hate"]) == (0.5, "ValueError", 0.5)


def test_a_batch_of_which_one_has_no_limit_has_none(clock):
    found = assess_many(Ours(clock, seconds=2), [*asked("a"), *asked("b", seconds=1.0)])
    assert [each.hazards["hate"] for each in found] == [0.5, 0.5]
    assert assess_many(Ours(), []) == []


# Length


def test_what_is_too_long_is_given_to_no_classifier():
    for classifier in (FakeClassifier(), Ours()):
        reason = assess(classifier, Assess((Message("user", "a" * MAX_CHARACTERS, name="b"),), None))
        assert "1,000,001 characters" in reason
        assert not classifier.asked
        assert not isinstance(assess(classifier, Assess((Message("user", "a" * MAX_CHARACTERS),), None)), str)


def test_one_that_is_too_long_leaves_the_others_of_its_batch_as_they_are():
    classifier = Ours()
    one, other, third = assess_many(classifier, asked("a", "b" * (MAX_CHARACTERS + 1), "c", seconds=60.0))
    assert (one.hazards["hate"], third.hazards["hate"]) == (0.5, 0.5)
    assert "1,000,001 characters" in other
    assert classifier.asked == ["a", "c"]


def test_a_guard_refuses_what_is_too_long(monkeypatch):
    monkeypatch.setattr(scoring, "MAX_CHARACTERS", 10)
    guard = Guard(FakeEngine(), classifier=FakeClassifier(), policy=Policy.default())
    decision = guard.decide([Message("user", "a long secret")])
    assert decision.action == "refuse"
    assert "characters" in decision.reason
    assert "secret" not in decision.reason


@pytest.mark.parametrize(
    ("timeout_s", "characters", "seconds"),
    [
        (2.0, 0, 2.0),
        (2.0, 59_000, MAX_SCORING_S),
        (2.0, 10**9, MAX_SCORING_S),
        (300.0, 0, 300.0),
        (300.0, 10**9, 300.0),
    ],
)
def test_the_time_for_scoring_grows_no_further_than_its_bound(timeout_s, characters, seconds):
    policy = Policy.from_yaml(f"version: 1\nclassifier: {{timeout_s: {timeout_s}}}")
    assert policy.scoring_time(characters) == seconds


# Locked rules


class Knowing(FakeClassifier):
    name = "knowing"

    def __init__(self, *known):
        super().__init__()
        self.known_labels = frozenset(known)


LOCKED = [label for label, rule in Policy.default().rules.items() if rule.locked]
LIVE = "version: 1\nhazards: {{hate: {{action: refuse, locked: {locked}}}}}"


@pytest.mark.parametrize("label", LOCKED)
def test_a_lock_on_a_label_that_the_classifier_does_not_know_is_refused_by_name(label):
    rest = [other for other in LOCKED if other != label]
    with pytest.raises(ClassifierError, match=rf"locks {label}, which the classifier knowing does not know; combine"):
        Guard(FakeEngine(), classifier=Knowing(*rest), policy=Policy.default())


def test_rules_that_are_not_locked_may_stay_unknown():
    Guard(FakeEngine(), classifier=Knowing(*LOCKED), policy=Policy.default())
    Guard(FakeEngine(), classifier=Knowing(), policy=Policy.always())
    Guard(FakeEngine(), classifier=Knowing(), policy=None)


def test_a_lock_that_comes_with_a_live_policy_is_refused_before_anything_is_answered(tmp_path):
    from rose_guard.policy.live import LivePolicy

    file = tmp_path / "policy.yaml"
    file.write_text(LIVE.format(locked="false"))
    guard = Guard(FakeEngine(), classifier=Knowing(*LOCKED), policy=LivePolicy(file, check_every_s=0))
    assert guard.decide(HI).action == "allow"
    file.write_text(LIVE.format(locked="true"))
    with pytest.raises(ClassifierError, match="locks hate"):
        guard.answer(HI)
    assert not guard.engine.requests
