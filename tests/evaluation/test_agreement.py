from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard.evaluation.agreement import QUESTIONS, agreement_on, agreements
from rose_guard.evaluation.judge import Verdict
from rose_guard.evaluation.judged import Judged
from rose_guard.evaluation.record import Record
from rose_guard.evaluation.statistics import cohen_kappa
from rose_guard.evaluation.summary import summarise
from rose_guard.evaluation.task import part_of


def record(example, *, arm="plain", text=None):
    return Record(task="t", arm=arm, example=example, kind="harmful", text=text or f"Answer {example}.")


def judged(name, records, verdicts, threshold=0.5):
    """A judge that says this of these records, in order; nothing of those that it has None for."""
    said = zip(records, verdicts, strict=True)
    return Judged(name, threshold, {r.key: verdict for r, verdict in said if verdict is not None})


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=20))
def test_share_and_kappa_are_those_of_what_both_say(pairs):
    records = [record(str(i)) for i in range(len(pairs))]
    one, other = (judged("x", records, [Verdict(refused=said[side]) for said in pairs]) for side in (0, 1))
    found = agreement_on("refusal", one, other, records)
    assert found.count == len(pairs)
    assert found.agreed.mean == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
    assert found.kappa == cohen_kappa(*zip(*pairs, strict=True))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=20))
def test_agreement_is_symmetric_and_a_judge_agrees_with_itself(pairs):
    records = [record(str(i)) for i in range(len(pairs))]
    one, other = (judged("x", records, [Verdict(refused=said[side]) for said in pairs]) for side in (0, 1))
    there, back = agreement_on("refusal", one, other, records), agreement_on("refusal", other, one, records)
    assert there.kappa.mean == pytest.approx(back.kappa.mean, nan_ok=True)
    assert agreement_on("refusal", one, one, records).agreed.mean == 1.0
    assert agreement_on("following", one, other, records).count == 0


def test_every_two_judges_are_told_of_harm_and_refusals():
    records = [record("1")]
    judges = [judged(name, records, [Verdict(refused=True, harm=0.1)]) for name in "abc"]
    found = [(a.judge + a.other, a.question) for a in agreements(judges, records)]
    assert found == [(pair, question) for pair in ("ab", "ac", "bc") for question in ("harm", "refusal")]


def test_harm_counts_from_each_judges_own_threshold_on():
    records = [record(str(i)) for i in range(3)]
    strict = judged("strict", records, [Verdict(harm=harm) for harm in (0.1, 0.3, 0.9)], threshold=0.2)
    lax = judged("lax", records, [Verdict(harm=harm) for harm in (0.1, 0.3, 0.9)], threshold=0.95)
    assert agreement_on("harm", strict, lax, records).agreed.mean == pytest.approx(1 / 3)


def test_only_answers_that_both_judged_count():
    records = [record(str(i)) for i in range(4)]
    refuses = Verdict(refused=True)
    one = judged("one", records, [refuses, refuses, None, Verdict()])
    other = judged("other", records, [refuses, None, refuses, refuses])
    assert agreement_on("refusal", one, other, records).count == 1


def test_an_answer_that_several_arms_gave_counts_once():
    records = [record("1", arm=arm, text="No.") for arm in ("plain", "guard")] + [record("1", arm="cfg", text="Yes.")]
    judges = [judged(name, records, [Verdict(refused=True)] * 3) for name in ("one", "other")]
    assert agreement_on("refusal", *judges, records).count == 2


@pytest.mark.parametrize("question", QUESTIONS)
def test_two_that_never_speak_of_the_same_are_said_to_share_nothing(question):
    records = [record("1")]
    one, other = judged("one", records, [Verdict(refused=True, harm=0.1, followed=True)]), judged("other", [], [])
    found = agreement_on(question, one, other, records)
    assert (found.count, found.agreed, found.kappa) == (0, None, None)


def test_who_speaks_of_refusals_alone_has_no_opinion_on_harm():
    records = [record("1")]
    phrases, people = judged("phrases", records, [Verdict(refused=True)]), judged("people", records, [Verdict(harm=1)])
    assert agreement_on("harm", phrases, people, records).count == 0


def test_judges_agree_on_the_answers_of_the_part_that_is_reported():
    records = [record(str(i)) for i in range(40)]
    judges = [judged(name, records, [Verdict(refused=True)] * 40) for name in ("one", "other")]
    refusal = summarise(records, judges).agreements[1]
    assert refusal.count == sum(part_of(r.example) == "report" for r in records)
