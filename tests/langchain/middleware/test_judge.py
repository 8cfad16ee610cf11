"""The judge decides as any guard does, and checks what is written as if it were being decoded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rose_guard import InputError, Message, Policy
from rose_guard.engines.engine import GenerationRequest
from rose_guard.guard import GenerationOptions
from rose_guard.langchain.middleware.asks import CheckAnswer, Decide
from rose_guard.langchain.middleware.judge import Judge
from rose_guard.langchain.middleware.recital import Recital
from tests.guard.fakes import FakeAnswerClassifier
from tests.langchain.middleware.agents import CHECKING, POLICY, Wordy

RESTARTING = Policy.from_yaml("""
version: 1
output: {enabled: true, action: restart, threshold: 0.5, window_tokens: 16, hold_back_tokens: 4}
""")


async def run(judge, steps, how):
    noted = []
    given = (
        judge.run(steps, lambda *each: noted.append(each)) if how == "run" else await judge.arun(steps, lambda *_: None)
    )
    assert how == "arun" or len(noted) == 1
    return given


def decide(text="something spiteful"):
    return (yield Decide("input", (Message("user", text),), GenerationOptions()))


def check(ruling, text):
    return (yield CheckAnswer(ruling, text, "en"))


@pytest.mark.parametrize("how", ["run", "arun"])
async def test_a_ruling_names_the_policy_that_decided_though_it_changes_meanwhile(how):
    class Changing(Judge):
        changes = ()

        @property
        def policy(self):
            return next(self.changes, CHECKING) if self.changes else POLICY

    judge = Changing(policy=POLICY, classifier=Wordy(), answer_classifier=FakeAnswerClassifier())
    judge.changes = iter([POLICY])
    ruling = await run(judge, decide(), how)
    assert ruling.policy.digest == ruling.decision.policy_digest == CHECKING.digest


@pytest.mark.parametrize("how", ["run", "arun"])
@pytest.mark.parametrize("policy", [CHECKING, RESTARTING], ids=["refuse", "restart"])
async def test_what_is_there_already_cannot_be_begun_anew_so_it_is_refused(how, policy):
    judge = Judge(policy=policy, classifier=Wordy(), answer_classifier=FakeAnswerClassifier("nasty"))
    ruling = await run(judge, decide(), how)
    verdict = await run(judge, check(ruling, "some nasty news"), how)
    assert (verdict.action, verdict.restarts) == ("refuse", 0)


@given(st.integers(0, 300), st.text("ab ", max_size=300))
def test_no_word_is_so_placed_that_it_is_not_found(place, text):
    """However the windows fall."""
    judge = Judge(policy=CHECKING, classifier=Wordy(), answer_classifier=FakeAnswerClassifier("nasty"))
    ruling = judge.run(decide(), lambda *_: None)
    harmful = f"{text[:place]} nasty {text[place:]}"
    assert judge.run(check(ruling, harmful), lambda *_: None).action == "refuse"
    assert judge.run(check(ruling, text), lambda *_: None).action == "release"


@given(st.text(max_size=50))
def test_a_recital_is_the_text(text):
    deltas = list(Recital().stream(GenerationRequest(messages=(Message("assistant", text),))))
    assert "".join(delta.text for delta in deltas) == text
    assert [delta.finish_reason for delta in deltas] == [None] * (len(deltas) - 1) + ["stop"]


async def test_a_recital_says_it_once():
    request = GenerationRequest(messages=(Message("assistant", "one two"),), begun="zero")
    with pytest.raises(InputError, match="begun anew"):
        Recital().stream(request)
    with pytest.raises(InputError, match="begun anew"):
        [delta async for delta in Recital().astream(request)]
