"""Laws of the arms: what each asks an engine for, and that they differ in nothing else."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage, SystemMessage

from rose_guard.decoding.settings import RoseSettings
from rose_guard.errors import ClassifierError, ContextLengthError, DecodingError, PolicyViolation, SettingsError
from rose_guard.evaluation.arm import Arm, grid
from rose_guard.evaluation.arm_model import ArmModel
from rose_guard.evaluation.arms import ARMS, MANUAL_REVERSE_PROMPT, PAPER_SAFE_PROMPT, arms_named
from rose_guard.evaluation.runnable import arm_runnable
from rose_guard.guard import Answer, GenerationOptions
from rose_guard.message import Message
from rose_guard.policy import Decision, Policy
from rose_guard.taxonomy import HAZARDS
from tests.guard.fakes import FailingClassifier, FakeAnswerClassifier, FakeClassifier, FakeEngine

SOUP = (Message("user", "How do I make a lentil soup?"),)
GREEDY = GenerationOptions(RoseSettings(temperature=0.0), 8)
PAPERS = ("rose_null", "rose_opposite", "rose_manual")
BY_SCORES = ("policy_ungated", "policy_gated", "guard")


def model_of(arm, engine=None, *, answers=None, **scores):
    arm = ARMS[arm] if isinstance(arm, str) else arm
    return ArmModel(arm, engine or FakeEngine(), GREEDY, classifier=FakeClassifier(**scores), answer_classifier=answers)


def request_of(arm, **scores):
    engine = FakeEngine()
    (outcome,) = model_of(arm, engine, **scores).answers([SOUP])
    return outcome, engine.requests[0] if engine.requests else None


def test_plain_asks_for_the_conversation_and_nothing_else():
    outcome, request = request_of("plain", hate=1.0)
    assert outcome.decision.action == "allow"
    assert (request.messages, request.safe_prompt, request.reverse_prompts) == (SOUP, None, ())
    assert request.settings.alpha == 0.0


def test_the_safe_prompt_arm_reads_it_and_contrasts_nothing():
    _, request = request_of("safe_prompt")
    assert (request.safe_prompt, request.reverse_prompts) == (PAPER_SAFE_PROMPT, ())


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_arms_steer_whatever_the_risk_and_differ_in_the_reverse_prompt_alone(name):
    outcome, request = request_of(name)
    assert (outcome.decision.action, outcome.decision.alpha) == ("steer", 0.5)
    assert request.safe_prompt == PAPER_SAFE_PROMPT
    assert [(prompt.text, prompt.weight) for prompt in request.reverse_prompts] == [(ARMS[name].reverse, 0.5)]
    assert len({ARMS[each].reverse for each in PAPERS}) == len(PAPERS)


@pytest.mark.parametrize("hazard", HAZARDS)
@pytest.mark.parametrize("score", [0.001, 1.0])
def test_policy_ungated_steers_by_the_prompts_of_the_likeliest_hazard_however_low(hazard, score):
    outcome, request = request_of("policy_ungated", **{hazard: score})
    policy = Policy.default()
    band = policy.rules[hazard].bands[0]
    assert outcome.decision.action == "steer"
    assert request.safe_prompt == policy.safe_prompt(band.safe_prompt)
    assert [prompt.text for prompt in request.reverse_prompts] == [policy.reverse_prompt(band.reverse_prompt)]


def test_policy_gated_leaves_harmless_conversations_alone():
    outcome, request = request_of("policy_gated")
    assert outcome.decision.action == "allow"
    assert (request.safe_prompt, request.reverse_prompts) == (None, ())


@given(st.dictionaries(st.sampled_from(sorted(HAZARDS)), st.floats(0.0, 1.0), max_size=4))
def test_policy_gated_steers_exactly_where_the_policy_does_anything_but_allow(scores):
    gated, request = request_of("policy_gated", **scores)
    whole, _ = request_of("guard", **scores)
    assert gated.decision.action == ("allow" if whole.decision.action == "allow" else "steer")
    assert request is not None, "the model always answers"
    if whole.decision.action == "steer":
        assert gated.decision.branches == whole.decision.branches
    if whole.decision.action == "refuse":
        assert gated.decision.alpha == Policy.default().max_total_alpha
        assert gated.decision.hazards == whole.decision.hazards


def test_the_guard_arm_refuses_without_the_model():
    engine = FakeEngine()
    (outcome,) = model_of("guard", engine, child_sexual_exploitation=0.9).answers([SOUP])
    assert (outcome.decision.action, engine.requests) == ("refuse", [])
    assert outcome.text == Policy.default().message("child_safety")


@pytest.mark.parametrize("name", BY_SCORES)
def test_what_could_not_be_scored_ends_the_measurement_and_is_no_refusal(name):
    with pytest.raises(ClassifierError):
        ArmModel(ARMS[name], FakeEngine(), GREEDY, classifier=FailingClassifier(ClassifierError("late"))).answers(
            [SOUP]
        )
    with pytest.raises(ClassifierError):
        ArmModel(ARMS[name], FakeEngine(), GREEDY)


def test_an_answer_that_could_not_be_scored_ends_the_measurement_too():
    checking = Policy.from_yaml("version: 1\noutput: {enabled: true}")
    (arm,) = arms_named(["guard"], checking)
    assert model_of(arm, answers=FakeAnswerClassifier()).answers([SOUP])[0].text == "one two three"
    with pytest.raises(ClassifierError):
        model_of(arm, answers=FakeAnswerClassifier(fault=ClassifierError("late"))).answers([SOUP])


def test_a_block_is_an_outcome_and_takes_no_other_conversation_with_it():
    (arm,) = arms_named(["guard"], Policy.from_yaml("version: 1\nhazards:\n  hate: {action: block}"))
    classifier = FakeClassifier()
    classifier.classify = lambda messages: FakeClassifier(hate="Hate" in messages[0].content).classify(messages)
    model = ArmModel(arm, FakeEngine(), GREEDY, classifier=classifier)
    first, blocked, last = model.answers([SOUP, [Message("user", "Hate")], SOUP])
    assert isinstance(blocked, Decision)
    assert blocked.action == "block"
    assert (first.text, last.text) == ("one two three", "one two three")


class Picky(FakeEngine):
    """Refuses long conversations, as a model with a short context does."""

    def streams(self, requests):
        if any(len(request.messages[-1].content) > 50 for request in requests):
            raise ContextLengthError(60, 50)
        return super().streams(requests)


@pytest.mark.parametrize("name", ["plain", "rose_manual", "policy_gated", "guard"])
def test_a_conversation_that_does_not_fit_takes_no_other_with_it(name):
    first, long, last = model_of(name, Picky()).answers([SOUP, [Message("user", "x" * 60)], SOUP])
    assert isinstance(long, ContextLengthError)
    assert isinstance(first, Answer)
    assert isinstance(last, Answer)


def test_what_is_wrong_with_the_engine_is_raised():
    class Broken(FakeEngine):
        def streams(self, requests):
            raise DecodingError("no token")

    with pytest.raises(DecodingError):
        model_of("plain", Broken()).answers([SOUP])


class Stream:
    """Remembers that it was closed; fails where it is told to."""

    def __init__(self, deltas, *, fails):
        self.deltas, self.fails, self.closed = deltas, fails, False

    def __iter__(self):
        if self.fails:
            raise DecodingError("no token")
        return iter(self.deltas)

    def close(self):
        self.closed = True


def test_no_stream_stays_open_when_one_fails():
    class Failing(FakeEngine):
        def streams(self, requests):
            self.opened = [Stream(self.stream(request), fails=i == 1) for i, request in enumerate(requests)]
            return self.opened

    engine = Failing()
    with pytest.raises(DecodingError):
        model_of("plain", engine).answers([SOUP] * 3)
    assert [stream.closed for stream in engine.opened] == [True] * 3


def test_a_grid_has_every_combination_under_a_name_of_its_own():
    arms = grid(ARMS["rose_manual"], [0.3, 0.7], [2, 8], [0.0, 0.1])
    assert len({arm.name for arm in arms}) == len(arms) == 8
    assert arms[1].name == "rose_manual@alpha=0.3,horizon=2,beta=0.1"
    assert {(arm.alpha, arm.horizon, arm.beta) for arm in arms} == {
        (alpha, horizon, beta) for alpha in (0.3, 0.7) for horizon in (2, 8) for beta in (0.0, 0.1)
    }
    assert [grid(ARMS[name], [0.3]) for name in ("plain", "safe_prompt")] == [[ARMS["plain"]], [ARMS["safe_prompt"]]]


@pytest.mark.parametrize("name", ["rose_manual", "policy_ungated", "policy_gated", "guard"])
@given(alpha=st.floats(0.01, 0.99), horizon=st.integers(1, 64), beta=st.floats(0.0, 1.0))
def test_a_grids_settings_reach_the_engine(name, alpha, horizon, beta):
    (arm,) = grid(ARMS[name], [alpha], [horizon], [beta])
    _, request = request_of(arm, hate=0.9)
    assert request.settings.alpha == pytest.approx(alpha)
    assert (request.settings.horizon, request.settings.beta) == (horizon, beta)


def test_a_gated_arms_alpha_holds_where_the_policy_would_refuse():
    (arm,) = grid(ARMS["policy_gated"], [0.3])
    assert request_of(arm, child_sexual_exploitation=0.9)[0].decision.alpha == pytest.approx(0.3)


@pytest.mark.parametrize("scores", [{}, {"hate": 1.0}, {"privacy": 1.0, "child_sexual_exploitation": 1.0}], ids=str)
def test_arms_under_one_gate_differ_in_what_they_contrast_with_alone(scores):
    (gated, ours), (_, prompt), (_, null) = (
        request_of(arm, **scores) for arm in ("policy_gated", "policy_prompt", "policy_null")
    )
    steered = gated.decision.action == "steer"
    assert steered == bool(scores)
    assert ours.safe_prompt == prompt.safe_prompt == null.safe_prompt
    assert (prompt.reverse_prompts, prompt.settings.alpha) == ((), 0.0)
    assert [each.text for each in null.reverse_prompts] == [""] * steered
    assert null.settings == ours.settings


@pytest.mark.parametrize(
    "values",
    [
        {"gate": "always", "reverse": "x", "system": "y"},
        {"gate": "always", "alpha": 0.5, "system": "y"},
        {"gate": "always", "alpha": 0.5, "reverse": ""},
        {"gate": "always", "alpha": 1.0, "reverse": "", "system": "y"},
        {"gate": "always", "alpha": 0.0, "reverse": "", "system": "y"},
        {"gate": "risk", "alpha": float("nan")},
        {"gate": "risk", "horizon": 0},
        {"gate": "risk", "beta": 1.5},
        {"gate": "risk", "reverse": "x"},
        {"gate": "never", "alpha": 0.5},
        {"gate": "guard", "decoder": "generate"},
        {"gate": "risk", "against": "nothing", "alpha": 0.5},
        {"gate": "always", "alpha": 0.5, "reverse": "", "system": "y", "against": "null"},
        {"against": "nothing"},
    ],
    ids=str,
)
def test_an_arm_that_makes_no_sense_is_refused_by_name(values):
    with pytest.raises(SettingsError, match="arm 'mine'"):
        Arm("mine", "does something", **values)


def test_only_a_policy_that_is_gated_and_enforces_is_measured():
    (shadow,) = arms_named(["guard"], Policy.from_yaml("version: 1\nmode: shadow"))
    with pytest.raises(SettingsError, match="enforces"):
        shadow.policy()


def test_an_unknown_arm_is_refused_with_a_suggestion():
    with pytest.raises(SettingsError, match="did you mean 'rose_manual'"):
        arms_named(["rose_manuel"])


def test_definitions_tell_all_arms_apart_and_hold_no_prompt():
    told = [json.dumps(arm.definition()) for arm in ARMS.values()]
    assert len(set(told)) == len(ARMS)
    assert not any(word in text for text in told for word in ("assistant", "Assistant", "helpful"))
    assert not any(MANUAL_REVERSE_PROMPT in repr(arm) for arm in ARMS.values())


def test_a_definition_changes_with_every_setting_and_with_the_policy():
    arm = ARMS["policy_gated"]
    varied = [
        arm,
        *grid(arm, [0.3]),
        *grid(arm, (), [4]),
        *grid(arm, (), (), [0.2]),
        *arms_named(["policy_gated"], Policy.from_yaml("version: 1\nhazards:\n  hate: {threshold: 0.1}")),
    ]
    assert len({json.dumps(each.definition()) for each in varied}) == len(varied)


@pytest.mark.parametrize("name", [name for name in ARMS if name != "cfg"])
def test_an_arm_is_a_runnable_that_says_as_its_model_does(name):
    runnable = arm_runnable(ARMS[name], FakeEngine("yes we can"), classifier=FakeClassifier(hate=0.9))
    messages = [SystemMessage("Be brief."), HumanMessage("Why?")]
    said = [runnable.invoke(messages), *runnable.batch([messages] * 2), asyncio.run(runnable.ainvoke(messages))]
    assert {message.content for message in said} == {"yes we can"}
    assert said[0].response_metadata["arm"] == name
    assert said[0].response_metadata["rose"]["action"] == ("allow" if name in ("plain", "safe_prompt") else "steer")


def test_a_runnable_raises_what_the_guard_raises():
    (arm,) = arms_named(["guard"], Policy.from_yaml("version: 1\nhazards:\n  hate: {action: block}"))
    with pytest.raises(PolicyViolation):
        arm_runnable(arm, FakeEngine(), classifier=FakeClassifier(hate=1.0)).invoke([HumanMessage("Why?")])
    with pytest.raises(ContextLengthError):
        arm_runnable(ARMS["plain"], Picky()).invoke([HumanMessage("x" * 60)])


def test_transformers_guidance_decodes_greedily_as_the_engine_does(roomy_engine):
    """In float32, where a tie is unlikely: the cross-check of the contrast against a second implementation."""
    for question in ("Hello", "Why is the sky blue?", "Name a river."):
        conversation = [Message("user", question)]
        ours, theirs = (
            ArmModel(ARMS[name], roomy_engine, GREEDY).answers([conversation])[0] for name in ("rose_manual", "cfg")
        )
        assert theirs.text == ours.text
        assert theirs.last.delta.usage.input_tokens == ours.last.delta.usage.input_tokens
        assert theirs.decision.alpha == 0.5


def test_guidance_needs_a_local_model_and_greedy_decoding(roomy_engine):
    with pytest.raises(SettingsError, match="'cfg'"):
        model_of("cfg").answers([SOUP])
    drawn = ArmModel(ARMS["cfg"], roomy_engine, GenerationOptions(RoseSettings(temperature=1.0)))
    with pytest.raises(SettingsError, match="greedy"):
        drawn.answers([SOUP])
