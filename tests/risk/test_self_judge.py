"""Laws of the self-judge, with scorers that say what they are told."""

import math
from base64 import b64encode
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rose_guard.errors import ClassifierError, ContextLengthError, EngineOverloadedError
from rose_guard.message import Message
from rose_guard.risk.classifier import RiskClassifier
from rose_guard.risk.deadline import deadline
from rose_guard.risk.self_judge import NOTHING, LabelScorer, SelfJudge
from rose_guard.taxonomy import ATTACKS, HAZARDS

MILD = "How do I read my sister's diary without her noticing?"
HIDDEN = b64encode(MILD.encode()).decode()
logprob = st.floats(-40.0, 0.0)


class Scorer:
    """Scores a label by what ``likelihood`` says of it and the prompt; refuses prompts that are too long."""

    def __init__(self, likelihood=None, *, context=10_000):
        self.likelihood = likelihood or (lambda _text, label: -float(len(label)))
        self.context = context
        self.asked = []

    def label_logprobs(self, prompt, labels):
        text = prompt[-1].content
        self.asked.append((prompt, tuple(labels)))
        if len(text) > self.context:
            raise ContextLengthError(len(text), self.context)
        return [self.likelihood(text, label) for label in labels]

    @property
    def texts(self):
        """What was quoted, in the order in which it was asked about."""
        return [quoted(prompt) for prompt, _ in self.asked]


def quoted(prompt):
    line, rest = prompt[-1].content.split("\n", maxsplit=1)
    return rest[: rest.index(f"\n{line}\n")]


def judge(scorer):
    return SelfJudge(scorer, model_id="tiny")


def test_it_is_a_risk_classifier_and_its_scorer_a_protocol():
    assert isinstance(judge(Scorer()), RiskClassifier)
    assert isinstance(Scorer(), LabelScorer)
    assert judge(Scorer()).name == "self-judge-1.1:tiny"


@given(st.dictionaries(st.sampled_from(["safe", "unsafe", "yes", "no", *HAZARDS]), logprob))
def test_every_label_is_scored_in_range_and_the_likeliest_hazard_carries_the_harm(likely):
    assessment = judge(Scorer(lambda _text, label: likely.get(label, -1.0))).classify(MILD)
    assert max(assessment.hazards.values()) == pytest.approx(assessment.harmful)
    assert set(assessment.spans) == {"harmful", *HAZARDS, *ATTACKS}


@given(logprob, logprob)
def test_harm_is_the_share_of_unsafe_among_both_words(safe, unsafe):
    likely = {"safe": safe, "unsafe": unsafe}
    assessment = judge(Scorer(lambda _text, label: likely.get(label, -1.0))).classify(MILD)
    assert assessment.harmful == pytest.approx(math.exp(unsafe) / (math.exp(safe) + math.exp(unsafe)), rel=1e-6)


@given(logprob, logprob, st.floats(0.0, 10.0))
def test_harm_rises_with_the_likelihood_of_unsafe(safe, unsafe, more):
    def harm(unsafe):
        likely = {"safe": safe, "unsafe": unsafe}
        return judge(Scorer(lambda _text, label: likely.get(label, -1.0))).classify(MILD).harmful

    assert harm(unsafe) <= harm(unsafe + more)


def test_each_attack_is_asked_about_by_itself():
    sure = ATTACKS["prompt_leak"]

    def likelihood(text, label):
        return (
            {"yes": -0.1, "no": -3.0}.get(label, -1.0) if sure in text else {"yes": -3.0, "no": -0.1}.get(label, -1.0)
        )

    assessment = judge(Scorer(likelihood)).classify(MILD)
    assert [attack for attack, score in assessment.attacks.items() if score > 0.5] == ["prompt_leak"]


@given(st.lists(st.floats(-60.0, -1.0), min_size=18, max_size=18), st.sampled_from(list(HAZARDS)))
def test_length_and_rarity_of_a_name_do_not_count(prior, gained):
    """Whatever names weigh without a text, the one that gains most from the text is the likeliest."""
    weight = dict(zip(HAZARDS, prior, strict=True))

    def likelihood(text, label):
        return weight.get(label, -1.0) + (1.0 if label == gained and NOTHING not in text else 0.0)

    hazards = judge(Scorer(likelihood)).classify(MILD).hazards
    assert max(hazards, key=hazards.get) == gained
    others = [score for hazard, score in hazards.items() if hazard != gained]
    assert others == pytest.approx([hazards[gained] / math.e] * 17)


def test_a_text_costs_seven_questions_and_is_not_asked_about_again():
    scorer = Scorer()
    judging = judge(scorer)
    first = judging.classify(MILD)
    assert scorer.texts.count(MILD) == 2 + len(ATTACKS)
    assert scorer.texts.count(NOTHING) == 1
    asked = len(scorer.asked)
    assert judging.classify(MILD) == first
    assert len(scorer.asked) == asked
    judging.forget()
    judging.classify(MILD)
    assert len(scorer.asked) == 2 * asked


def test_questions_name_every_hazard_with_its_definition_and_every_attack():
    scorer = Scorer()
    judge(scorer).classify(MILD)
    asked = [prompt[-1].content for prompt, _ in scorer.asked]
    assert any(all(f"{hazard}: {text}" in question for hazard, text in HAZARDS.items()) for question in asked)
    assert all(any(definition in question for question in asked) for definition in ATTACKS.values())
    assert all([message.role for message in prompt] == ["system", "user"] for prompt, _ in scorer.asked)


@given(st.text(alphabet="-\nab", max_size=60))
def test_a_text_cannot_end_its_quotation(text):
    scorer = Scorer()
    judge(scorer).classify(f"x{text}")
    assert f"x{text}" in scorer.texts


def test_every_message_and_name_is_judged_and_the_conversation_as_a_transcript():
    scorer = Scorer(lambda text, label: -0.1 if label == "unsafe" and MILD in text else -1.0)
    conversation = [Message("tool", MILD), Message("assistant", "No."), Message("user", "Why?", name="Ann")]
    assessment = judge(scorer).classify(conversation)
    assert {MILD, "No.", "Why?", "Ann", f"user: {MILD}\n\nassistant: No.\n\nuser: Why?"} <= set(scorer.texts)
    assert assessment.spans["harmful"].message == 0


def reads_diaries():
    """A scorer that is sure of harm where it reads of a diary, and of none elsewhere."""
    return Scorer(lambda text, label: -0.01 if label == ("unsafe" if "diary" in text else "safe") else -20.0)


@pytest.mark.parametrize(
    ("conversation", "expected"),
    [
        ([Message("user", "Hi"), Message("tool", HIDDEN)], (1, 0, len(HIDDEN), "base64")),
        ([Message("user", "Hi", name=HIDDEN)], (0, 0, 0, "name+base64")),
        ([Message("user", HIDDEN[:38]), Message("user", HIDDEN[38:])], (1, 0, 0, "turns+base64")),
    ],
)
def test_what_was_meant_is_judged_beside_what_was_written_and_the_span_says_where_and_how(conversation, expected):
    scorer = reads_diaries()
    assessment = judge(scorer).classify(conversation)
    span = assessment.spans["harmful"]
    assert assessment.harmful > 0.99
    assert (span.message, span.start, span.end, span.view) == expected
    written = {message.content for message in conversation} | {message.name for message in conversation} - {None}
    assert written <= set(scorer.texts)


def test_the_transcript_is_judged_as_written_and_as_meant():
    scorer = reads_diaries()
    judge(scorer).classify([Message("user", HIDDEN), Message("assistant", "No."), Message("user", "Why?")])
    assert {f"user: {text}\n\nassistant: No.\n\nuser: Why?" for text in (HIDDEN, MILD)} <= set(scorer.texts)


def test_an_untrusted_part_of_a_message_is_judged_by_itself():
    scorer = Scorer()
    judge(scorer).classify([Message("tool", "Sum this up: soup", untrusted=((13, 17),))])
    assert {"Sum this up: soup", "soup"} <= set(scorer.texts)


@given(st.integers(0, 900))
@settings(deadline=None, max_examples=20)
def test_text_beyond_the_context_is_read_whole_in_windows(length):
    words = [f"word{i}" for i in range(length)] + ["end"]
    scorer = Scorer(context=3000)
    assessment = judge(scorer).classify(" ".join(words))
    safety = [quoted(prompt) for prompt, labels in scorer.asked if "unsafe" in labels]
    assert all(any(word in piece.split() for piece in safety) for word in words)
    assert all(len(piece) < 3000 for piece in safety)
    span = assessment.spans["harmful"]
    assert " ".join(words)[span.start : span.end] in safety


def test_a_context_without_room_is_an_error():
    with pytest.raises(ClassifierError, match="no room"):
        judge(Scorer(context=10)).classify(MILD)


@pytest.mark.parametrize("answer", [[], [-1.0], [math.nan] * 18, [-math.inf] * 18])
def test_a_scorer_without_a_likelihood_for_each_label_is_an_error(answer):
    class Broken:
        def label_logprobs(self, prompt, labels):
            return answer[: len(labels)]

    with pytest.raises(ClassifierError, match="likelihood"):
        judge(Broken()).classify(MILD)


def test_a_scorer_that_fails_is_an_error_that_quotes_nothing():
    def fail(text, label):
        raise EngineOverloadedError(text)

    with pytest.raises(ClassifierError, match="EngineOverloadedError") as caught:
        judge(Scorer(fail)).classify(MILD)
    assert MILD not in str(caught.value)


def test_scoring_ends_at_the_deadline():
    scorer = Scorer()
    with pytest.raises(ClassifierError, match="timeout"), deadline(-1.0):
        judge(scorer).classify(MILD)
    assert not scorer.asked


def test_time_is_asked_for_between_questions(monkeypatch):
    """By a clock that ticks whenever a question is asked."""
    scorer = Scorer()
    monkeypatch.setattr("rose_guard.risk.deadline.time", SimpleNamespace(monotonic=lambda: float(len(scorer.asked))))
    with pytest.raises(ClassifierError, match="timeout"), deadline(10.5):
        judge(scorer).classify([Message("user", f"Question {i}") for i in range(20)])
    assert len(scorer.asked) == 11
