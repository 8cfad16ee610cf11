"""Laws of classifiers combined into one: what each way keeps, when the next stage is asked, and how they fail."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.assessment import RiskAssessment, Span
from rose_guard.errors import ClassifierError, ModelLoadError, SettingsError
from rose_guard.message import Message
from rose_guard.risk import apart
from rose_guard.risk.classifier import EVERY_LABEL, Classifier, RiskClassifier, known_labels
from rose_guard.risk.combined import Combined
from rose_guard.risk.deadline import check_deadline, deadline
from rose_guard.risk.rule import Rule
from rose_guard.risk.rules import Rules
from rose_guard.taxonomy import ATTACKS, HAZARDS

LABELS = ["harmful", "hate", "privacy", "jailbreak"]


def assessment(scores, spans=()):
    """Scores of a few labels, the others 0."""
    return RiskAssessment(
        harmful=scores.get("harmful", 0.0),
        hazards={hazard: scores.get(hazard, 0.0) for hazard in HAZARDS},
        attacks={attack: scores.get(attack, 0.0) for attack in ATTACKS},
        spans=dict(spans),
    )


def values(given):
    return {"harmful": given.harmful, **given.scores}


class Plain:
    """Only what the protocol asks for; gives each text its assessment and counts calls."""

    def __init__(self, table, name="plain"):
        self.name = name
        self.table = table
        self.asked = []

    def classify(self, messages):
        self.asked.append([messages[0].content])
        return self._look_up(messages)

    def _look_up(self, messages):
        found = self.table[messages[0].content] if isinstance(self.table, dict) else self.table
        if isinstance(found, Exception):
            raise found
        return found


class Partial(Plain):
    """Knows these labels alone, and scores 0 for others."""

    def __init__(self, *known, **scores):
        super().__init__(assessment(scores), name="partial")
        self.known_labels = frozenset(known)


class Together(Plain):
    """Also takes many at once."""

    def classify_many(self, conversations):
        self.asked.append([messages[0].content for messages in conversations])
        return [self._look_up(messages) for messages in conversations]


class Slow(Classifier):
    """Takes its time; asks whether it is up, or does not."""

    name = "slow"

    def __init__(self, seconds, *, asks):
        self.seconds = seconds
        self.asks = asks

    def assess(self, messages):
        time.sleep(self.seconds)
        if self.asks:
            check_deadline()
        return assessment({})


def scoring(text="hi", /, **scores):
    return Plain(assessment(scores))


scores = st.floats(0.0, 1.0) | st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0])
spans = st.builds(Span, st.integers(0, 2), st.integers(0, 3), st.integers(4, 6), st.sampled_from(["written", "base64"]))
assessments = st.builds(
    assessment,
    st.dictionaries(st.sampled_from(LABELS), scores),
    st.dictionaries(st.sampled_from(LABELS), spans),
)
parts = st.lists(assessments.map(Plain), min_size=1, max_size=4)


def combined(parts, how="max", **options):
    return Combined(parts, how, **options).classify("hi")


# Highest


@given(parts, st.randoms())
def test_the_highest_is_the_same_in_any_order(parts, random):
    shuffled = random.sample(parts, len(parts))
    one, other = combined(parts), combined(shuffled)
    assert (values(one), one.spans) == (values(other), other.spans)


@given(assessments)
def test_the_highest_of_one_and_itself_is_that_one(given):
    again = combined([Plain(given), Plain(given)])
    assert (values(again), again.spans) == (values(given), given.spans)


@given(parts)
def test_the_highest_is_never_below_any_part_and_is_one_of_them(parts):
    whole = combined(parts)
    for label, score in values(whole).items():
        given = [values(part.table)[label] for part in parts]
        assert score == max(given)
        if label in whole.spans:
            assert any(
                part.table.spans.get(label) == whole.spans[label]
                for part in parts
                if values(part.table)[label] == score
            )


@given(parts, parts)
def test_combining_combinations_is_combining_all(some, others):
    nested = combined([Combined(some), Combined(others)])
    flat = combined([*some, *others])
    assert (values(nested), nested.spans) == (values(flat), flat.spans)


# Mean


@given(st.data(), parts)
def test_the_mean_lies_between_the_lowest_and_the_highest(data, parts):
    weights = data.draw(
        st.lists(st.floats(0, exclude_min=True, allow_infinity=False), min_size=len(parts), max_size=len(parts))
    )
    whole = values(combined(parts, "mean", weights=weights))
    for label, score in whole.items():
        given = [values(part.table)[label] for part in parts]
        assert min(given) <= score <= max(given)


def test_the_mean_weighs_its_parts_and_takes_the_span_of_the_highest():
    low = Plain(assessment({"hate": 0.2}, {"hate": Span(0, 0, 1)}))
    high = Plain(assessment({"hate": 0.8}, {"hate": Span(0, 1, 2)}))
    assert combined([low, high], "mean").hazards["hate"] == pytest.approx(0.5)
    whole = combined([low, high], "mean", weights=[3, 1])
    assert whole.hazards["hate"] == pytest.approx(0.35)
    assert whole.spans == {"hate": Span(0, 1, 2)}


# Cascade


def is_unsure(given, unsure=(0.2, 0.8)):
    return any(unsure[0] < score < unsure[1] for score in values(given).values())


@given(st.lists(assessments, min_size=2, max_size=4))
def test_a_stage_is_asked_once_where_the_one_before_was_unsure_and_else_never(given):
    stages = [Plain(each) for each in given]
    combined(stages, "cascade")
    expected = [1]
    for each in given[:-1]:
        expected.append(int(expected[-1] and is_unsure(each)))
    assert [len(stage.asked) for stage in stages] == expected


@given(st.lists(assessments, min_size=1, max_size=4))
def test_a_cascade_gives_the_last_stages_scores_and_keeps_what_any_was_sure_of(given):
    stages = [Plain(each) for each in given]
    whole = combined(stages, "cascade")
    ran = [stage.table for stage in stages if stage.asked]
    for label, score in values(whole).items():
        sure = [values(each)[label] for each in ran if values(each)[label] >= 0.8]
        assert score == max([*sure, values(ran[-1])[label]])


@given(st.lists(st.dictionaries(st.sampled_from(LABELS), scores), min_size=1, max_size=4), st.data())
def test_raising_a_score_never_makes_a_risky_conversation_harmless(given, data):
    stage = data.draw(st.integers(0, len(given) - 1))
    label = data.draw(st.sampled_from(LABELS))
    raised = [dict(each) for each in given]
    raised[stage][label] = data.draw(st.floats(given[stage].get(label, 0.0), 1.0))
    before = combined([scoring(**each) for each in given], "cascade")
    after = combined([scoring(**each) for each in raised], "cascade")
    assert max(values(after).values()) >= 0.8 or max(values(before).values()) < 0.8


def test_a_strong_stage_that_knows_no_attacks_clears_none_that_the_cheap_one_saw():
    cheap = Plain(assessment({"jailbreak": 0.9, "hate": 0.5}, {"jailbreak": Span(0, 3, 5), "hate": Span(0, 1, 2)}))
    strong = Plain(assessment({"hate": 0.1, "privacy": 0.3}, {"privacy": Span(0, 7, 9)}))
    whole = combined([cheap, strong], "cascade")
    assert (whole.attacks["jailbreak"], whole.hazards["hate"], whole.hazards["privacy"]) == (0.9, 0.1, 0.3)
    assert whole.spans == {"jailbreak": Span(0, 3, 5), "privacy": Span(0, 7, 9)}


@pytest.mark.parametrize(("score", "asked"), [(0.0, 0), (0.3, 0), (0.31, 1), (0.59, 1), (0.6, 0), (1.0, 0)])
@pytest.mark.parametrize("label", LABELS)
def test_scores_at_the_bounds_are_sure(label, score, asked):
    second = scoring()
    combined([scoring(**{label: score}), second], "cascade", unsure=(0.3, 0.6))
    assert len(second.asked) == asked


# Labels that a stage does not know


@st.composite
def partials(draw):
    known = draw(st.sets(st.sampled_from(LABELS[1:])))
    return Partial(*known, **draw(st.dictionaries(st.sampled_from(sorted(known)), scores)) if known else {})


@pytest.mark.parametrize("how", ["max", "mean", "cascade"])
@given(st.lists(partials() | assessments.map(Plain), min_size=1, max_size=3), partials())
def test_a_stage_that_does_not_know_a_label_never_lowers_what_others_say_of_it(how, parts, last):
    before, after = values(combined(parts, how)), values(combined([*parts, last], how))
    for label in set(before) - known_labels(last) - ({"harmful"} if known_labels(last) & set(HAZARDS) else set()):
        assert after[label] == before[label]


def test_a_cascade_does_not_clear_what_its_last_stage_does_not_know():
    cheap = Plain(assessment({"hate": 0.6, "privacy": 0.6}, {"hate": Span(0, 1, 2)}))
    whole = combined([cheap, Partial("privacy", privacy=0.1)], "cascade")
    assert (whole.hazards["hate"], whole.hazards["privacy"], whole.spans) == (0.6, 0.1, {"hate": Span(0, 1, 2)})


def test_what_stays_unsure_since_a_stage_does_not_know_it_is_for_the_next_one():
    judge = scoring(hate=0.1)
    assert combined([scoring(hate=0.6), Partial("privacy"), judge], "cascade").hazards["hate"] == 0.1
    assert len(judge.asked) == 1


@pytest.mark.parametrize(("known", "asked"), [(["hate", "privacy"], 1), (["hate"], 0), ([], 0)])
def test_a_stage_that_knows_more_than_those_before_it_is_always_asked(known, asked):
    more = Partial(*known, **dict.fromkeys(known, 0.9))
    whole = combined([Partial("hate"), Partial("hate", hate=0.5), more], "cascade")
    assert len(more.asked) == asked
    assert whole.hazards["privacy"] == (0.9 if "privacy" in known else 0.0)


def test_a_mean_is_of_those_that_know_the_label():
    parts = [scoring(hate=0.6, privacy=0.6), Partial("privacy"), scoring(hate=0.2)]
    whole = combined(parts, "mean", weights=[3, 5, 1])
    assert whole.hazards["hate"] == pytest.approx(0.5)
    assert whole.hazards["privacy"] == pytest.approx(0.2)


@pytest.mark.parametrize(("how", "with_hazards"), [("max", 0.6), ("mean", 0.3), ("cascade", 0.0)])
def test_a_stage_that_knows_attacks_alone_says_nothing_of_harm(how, with_hazards):
    assert combined([scoring(harmful=0.6), Partial("jailbreak")], how).harmful == 0.6
    assert combined([scoring(harmful=0.6), Partial("hate")], how).harmful == pytest.approx(with_hazards)


@pytest.mark.parametrize("how", ["max", "mean", "cascade"])
def test_a_score_for_a_label_that_a_stage_does_not_claim_to_know_is_not_lost(how):
    assert combined([scoring(hate=0.6), Partial("privacy", hate=0.9)], how).hazards["hate"] == 0.9
    assert combined([Partial("privacy", hate=0.9)], how).hazards["hate"] == 0.9


def test_together_they_know_what_any_of_them_knows():
    whole = Combined([Partial("hate"), Combined([Partial("privacy"), Partial("jailbreak")], "cascade")])
    assert known_labels(whole) == {"hate", "privacy", "jailbreak"}
    assert known_labels(Combined([Partial("hate"), scoring()])) == EVERY_LABEL == {*HAZARDS, *ATTACKS}
    assert known_labels(Slow(0, asks=True)) == EVERY_LABEL


def test_rules_know_what_they_name_and_lower_nothing_else():
    rules = Rules([Rule("one", hazard="privacy", keywords=["a"]), Rule("two", attack="jailbreak", keywords=["b"])])
    assert known_labels(rules) == {"privacy", "jailbreak"}
    assert combined([scoring(hate=0.6), rules], "cascade").hazards["hate"] == 0.6


# Many at once


@pytest.mark.parametrize("kind", [Plain, Together])
@pytest.mark.parametrize("how", ["max", "mean", "cascade"])
@given(tables=st.lists(st.lists(assessments, min_size=3, max_size=3), min_size=1, max_size=3))
def test_many_are_scored_as_each_alone(kind, how, tables):
    texts = ["a", "b", "c"]
    whole = Combined([kind(dict(zip(texts, each, strict=True))) for each in tables], how)
    assert whole.classify_many(texts) == [whole.classify(text) for text in texts]


@pytest.mark.parametrize("how", ["max", "mean", "cascade"])
def test_no_conversations_give_no_assessments(how):
    assert Combined([scoring()], how, budgets_s=[0.001]).classify_many([]) == []


def test_later_stages_are_asked_in_one_call_and_only_for_what_is_unsure():
    unsure, sure = assessment({"hate": 0.5}), assessment({"hate": 0.9})
    first = Together({"a": unsure, "b": sure, "c": unsure})
    second = Together(assessment({}))
    Combined([first, second], "cascade").classify_many(["a", "b", "c"])
    assert (first.asked, second.asked) == ([["a", "b", "c"]], [["a", "c"]])
    third = Together(assessment({}))
    Combined([second, third], "cascade").classify_many(["a", "b"])
    assert third.asked == []


# Failing


@pytest.mark.parametrize("how", ["max", "mean", "cascade"])
@pytest.mark.parametrize("stage", [0, 1, 2])
@pytest.mark.parametrize(
    "fault",
    [ValueError("hi, the text"), MemoryError("hi"), ClassifierError("out of order"), ModelLoadError("no weights")],
)
def test_a_fault_in_any_stage_fails_the_whole_and_names_it_without_any_text(how, stage, fault):
    stages = [Plain(assessment({"hate": 0.5}), name=f"stage-{index}") for index in range(3)]
    stages[stage].table = fault
    for ask in (lambda whole: whole.classify("hi"), lambda whole: whole.classify_many(["hi", "hi"])):
        with pytest.raises(ClassifierError, match=rf"classifier {stage + 1} of 3 \(stage-{stage}\) failed") as caught:
            ask(Combined(stages, how))
        said = str(caught.value)
        assert "hi" not in said
        quotes = isinstance(fault, ValueError | MemoryError)
        assert (type(fault).__name__ if quotes else str(fault)) in said
        assert caught.value.__cause__ is (None if quotes else fault)
        assert caught.value.__suppress_context__


class TooFew(Together):
    def classify_many(self, conversations):
        return super().classify_many(conversations)[1:]


def test_a_stage_that_gives_no_assessment_fails_the_whole():
    with pytest.raises(ClassifierError, match="no assessment of every conversation"):
        combined([scoring(), Plain(None)])
    with pytest.raises(ClassifierError, match="no assessment of every conversation"):
        Combined([TooFew(assessment({}))]).classify_many(["a", "b"])


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("how", ["max", "mean", "cascade"])
def test_a_stage_that_exceeds_its_budget_fails_the_whole(how, asks):
    stages = [scoring(hate=0.5), Slow(0.05, asks=asks)]
    with pytest.raises(ClassifierError, match=r"classifier 2 of 2 \(slow\) took longer than its 0.01 s"):
        combined(stages, how, budgets_s=[None, 0.01])
    combined(stages, how, budgets_s=[0.01, 60.0])


def test_a_stage_that_hangs_and_never_asks_fails_the_whole(monkeypatch):
    monkeypatch.setattr(apart, "GRACE_S", 0.01)
    ends = threading.Event()
    hanging = Plain(assessment({}), "hanging")
    hanging.classify = lambda _: ends.wait(60)
    with pytest.raises(ClassifierError, match=r"classifier 2 of 2 \(hanging\) took longer than its 0.01 s"):
        combined([scoring(hate=0.5), hanging], budgets_s=[None, 0.01])
    ends.set()


def test_a_budget_holds_for_each_conversation():
    whole = Combined([Slow(0.05, asks=True)], budgets_s=[0.1])
    assert len(whole.classify_many(["a", "b", "c"])) == 3


def test_a_stage_that_is_not_asked_uses_no_budget():
    combined([scoring(hate=0.9), Slow(0.05, asks=True)], "cascade", budgets_s=[None, 0.01])


def test_the_outer_deadline_holds_whatever_the_budgets():
    whole = Combined([Slow(0.05, asks=True)], budgets_s=[60.0])
    with pytest.raises(ClassifierError, match="timeout_s"), deadline(0.01):
        whole.classify("hi")


# Names and settings


def test_it_is_a_risk_classifier_whose_name_changes_with_its_scores():
    a, b = Plain(assessment({}), "a"), Plain(assessment({}), "b")
    whole = Combined([a, b])
    assert isinstance(whole, RiskClassifier)
    assert whole.classify("hi").classifier == whole.name == "max(a + b)"
    assert Combined([whole, b], "mean", weights=[2, 0.125]).name == "mean(2*max(a + b) + 0.125*b)"
    assert Combined([a, b], "cascade", unsure=(0.25, 0.75)).name == "cascade[0.25,0.75](a + b)"


def test_every_message_reaches_every_part():
    class Longest(Classifier):
        name = "longest"

        def assess(self, messages):
            return assessment({"hate": len(messages) / 10})

    whole = Combined([Longest(), Longest()], "cascade")
    assert whole.classify([Message("user", "a")] * 4).hazards["hate"] == 0.4


@pytest.mark.parametrize(
    ("count", "options", "told"),
    [
        (0, {}, "at least one"),
        (2, {"how": "min"}, "how is one of max, mean, cascade"),
        (2, {"weights": [1, 1]}, "weights are for how='mean'"),
        (2, {"how": "mean", "weights": [1]}, "as many weights"),
        (2, {"how": "mean", "weights": [1, 0]}, "positive and finite"),
        (2, {"how": "mean", "weights": [1, -1]}, "positive and finite"),
        (2, {"how": "mean", "weights": [1, float("inf")]}, "positive and finite"),
        (2, {"how": "mean", "weights": [1, float("nan")]}, "positive and finite"),
        (2, {"how": "cascade", "unsure": (0.8, 0.2)}, "unsure"),
        (2, {"how": "cascade", "unsure": (0.5, 0.5)}, "unsure"),
        (2, {"how": "cascade", "unsure": (-0.1, 0.5)}, "unsure"),
        (2, {"how": "cascade", "unsure": (0.5, 1.1)}, "unsure"),
        (2, {"how": "cascade", "unsure": (float("nan"), 0.5)}, "unsure"),
        (2, {"how": "cascade", "unsure": (0.1, 0.2, 0.3)}, "unsure"),
        (2, {"budgets_s": [1]}, "as many budgets_s"),
        (2, {"budgets_s": [1, 0]}, "positive and finite seconds"),
        (2, {"budgets_s": [None, float("inf")]}, "positive and finite seconds"),
    ],
)
def test_settings_out_of_range_are_refused(count, options, told):
    with pytest.raises(SettingsError, match=told):
        Combined([scoring()] * count, **options)


def test_what_does_not_classify_is_refused():
    with pytest.raises(SettingsError, match="name and classifies"):
        Combined([object()])
