"""Laws of the output check: nothing harmful is ever shown, streamed or not, and a restart goes on from what was clean."""

import asyncio

import pytest

from rose_guard import (
    ClassifierError,
    ContextLengthError,
    DecodingError,
    EngineOverloadedError,
    Guard,
    Message,
    Policy,
    PolicyViolation,
)
from rose_guard.guard import Answer, GenerationOptions, OutputVerdict
from tests.guard.fakes import FakeAnswerClassifier, FakeClassifier, FakeEngine

HI = [Message("user", "Hi")]
WORDS = "a b c d e f g h i j k l bad m n o p q"
OUTPUT = "version: 1\nmax_total_alpha: 0.7\noutput: {{enabled: true, window_tokens: 8, hold_back_tokens: 4, {more}}}"
REFUSE = Policy.from_yaml(OUTPUT.format(more="action: refuse"))
RESTART = Policy.from_yaml(OUTPUT.format(more="action: restart, restarts: 2, restart_alpha: 0.5"))
REFUSAL = Policy.default().message("refusal")


def checked(policy, *answers, fault=None, **scores):
    return Guard(
        FakeEngine(*answers),
        classifier=FakeClassifier(**scores),
        policy=policy,
        answer_classifier=FakeAnswerClassifier(fault=fault),
    )


def test_a_clean_answer_is_what_it_would_be_without_the_check():
    words = WORDS.replace("bad", "good")
    guard, plain = checked(REFUSE, words), Guard(FakeEngine(words))
    assert guard.answer(HI).text == plain.answer(HI).text
    assert guard.answer(HI).last.verdict == OutputVerdict("release", 0.1)
    assert guard.answer(HI).last.delta.usage == plain.answer(HI).last.delta.usage


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_is_found_is_never_shown_and_the_message_ends_the_answer(asynchronous):
    guard = checked(REFUSE, WORDS)
    pieces = _astreamed(guard) if asynchronous else list(guard.stream(HI))
    text = "".join(piece.text for piece in pieces)
    assert text == f"a b c d e f g h i j k l \n\n{REFUSAL}"
    assert pieces[-1].delta.finish_reason == "content_filter"
    assert pieces[-1].verdict == OutputVerdict("refuse", 0.9)
    assert guard.engine.open == 0


def test_streamed_equals_not():
    for policy in (REFUSE, RESTART):
        assert (
            Answer.of(list(checked(policy, WORDS, "x y z").stream(HI))).text
            == checked(policy, WORDS, "x y z").answer(HI).text
        )


def test_nothing_is_shown_before_a_window_that_holds_it_was_scored():
    guard = checked(REFUSE, WORDS.replace("bad", "good"))
    shown = ""
    for piece in guard.stream(HI):
        shown += piece.text
        assert any(piece.text in window for window in guard.answer_classifier.shown)
    assert guard.answer_classifier.shown[-1].endswith("q")


def test_a_restart_goes_on_behind_what_was_clean_with_a_stronger_contrast():
    guard = checked(RESTART, WORDS, "fine now")
    answer = guard.answer(HI)
    first, second = guard.engine.requests
    assert answer.text == "a b c d e f g h i j k l fine now"
    assert (first.settings.alpha, second.settings.alpha) == (0.0, 0.5)
    assert (second.begun, second.max_new_tokens) == ("a b c d e f g h i j k l ", first.max_new_tokens - 12)
    assert second.reverse_prompts[0].text == Policy.default().reverse_prompt("generic")
    assert answer.last.verdict == OutputVerdict("release", 0.1, 1)
    assert answer.last.delta.usage.output_tokens == 16 + 2


def test_restarts_are_bounded_rise_in_alpha_and_end_in_a_refusal():
    guard = checked(RESTART, WORDS, "bad", "bad", "never asked for")
    answer = guard.answer(HI)
    assert [request.settings.alpha for request in guard.engine.requests] == [0.0, 0.5, 0.7]
    assert answer.text.endswith(REFUSAL)
    assert answer.last.verdict == OutputVerdict("refuse", 0.9, 2)


def test_a_steered_answer_is_begun_anew_only_more_strongly_and_against_its_own_reverse_prompt():
    mild = "\nhazards: {hate: {alpha: 0.5, safe_prompt: hate, reverse_prompt: hate}}"
    policy = Policy.from_yaml(OUTPUT.format(more="action: restart, restarts: 2, restart_alpha: 0.5") + mild)
    guard = checked(policy, WORDS, "fine", hate=0.9)
    guard.answer(HI)
    first, second = guard.engine.requests
    assert second.settings.alpha > first.settings.alpha
    assert [prompt.text for prompt in second.reverse_prompts] == [prompt.text for prompt in first.reverse_prompts]
    assert second.safe_prompt == first.safe_prompt


def test_what_the_shipped_rules_steered_is_begun_anew_only_under_a_higher_ceiling():
    guard = checked(RESTART, WORDS, "fine", hate=0.9)
    assert guard.answer(HI).text.endswith(REFUSAL)
    assert len(guard.engine.requests) == 1
    higher = OUTPUT.format(more="action: restart, restart_alpha: 0.8").replace("0.7", "0.8")
    raised = checked(Policy.from_yaml(higher), WORDS, "fine", hate=0.9)
    assert raised.answer(HI).last.verdict.restarts == 1


@pytest.mark.parametrize("fault", [ClassifierError("no"), RuntimeError("secret")])
def test_an_answer_that_cannot_be_scored_is_refused_before_anything_is_shown(fault):
    guard = checked(RESTART, WORDS, fault=fault)
    assert guard.answer(HI).text == REFUSAL
    assert len(guard.engine.requests) == 1


def test_on_error_block_raises_without_text():
    policy = Policy.from_yaml(OUTPUT.format(more="on_error: block"))
    with pytest.raises(PolicyViolation, match="could not be checked") as caught:
        checked(policy, WORDS, fault=RuntimeError("secret")).answer(HI)
    assert "secret" not in str(caught.value)


def test_in_shadow_mode_everything_is_shown_and_the_verdict_says_what_was_found():
    shadow = Policy.from_yaml("mode: shadow\n" + OUTPUT.format(more="action: restart"))
    answer = checked(shadow, WORDS).answer(HI)
    assert answer.text == WORDS
    assert answer.last.verdict == OutputVerdict("release", 0.9)
    assert checked(shadow, WORDS, fault=RuntimeError()).answer(HI).last.verdict == OutputVerdict("release", None)


def test_in_shadow_mode_a_part_that_could_not_be_scored_makes_the_rest_neither_harmful_nor_clean():
    class Sometimes(FakeAnswerClassifier):
        def harm(self, text):
            super().harm(text)
            if len(self.shown) == 1:
                raise RuntimeError
            return 0.3

    class Trail:
        lines = ()

        def append(self, kind, payload):
            self.lines = (*self.lines, (kind, payload))

    guard = checked(Policy.from_yaml("mode: shadow\n" + OUTPUT.format(more="action: refuse")), WORDS)
    guard.answer_classifier, guard.audit = Sometimes(), Trail()
    assert guard.answer(HI).last.verdict == OutputVerdict("release", 0.3)
    ((_, output),) = [line for line in guard.audit.lines if line[0] == "output"]
    assert output["verdict"] == "unscored"


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("when", ["at once", "at the first read"])
@pytest.mark.parametrize("error", [ContextLengthError(9, 8), EngineOverloadedError("full"), DecodingError("nan")])
def test_a_restart_that_cannot_begin_ends_in_a_refusal(asynchronous, when, error):
    class Small(FakeEngine):
        def stream(self, request):
            if request.begun and when == "at once":
                raise error
            return super().stream(request)

        def _deltas(self, request, answer):
            if request.begun:
                raise error
            yield from super()._deltas(request, answer)

    guard = checked(RESTART, WORDS)
    guard.engine = Small(WORDS)
    pieces = _astreamed(guard) if asynchronous else list(guard.stream(HI))
    assert "".join(piece.text for piece in pieces).endswith(REFUSAL)
    assert pieces[-1].verdict == OutputVerdict("refuse", 0.9)


def test_an_error_in_the_middle_of_a_restart_is_raised():
    class Breaking(FakeEngine):
        def _deltas(self, request, answer):
            for delta in super()._deltas(request, answer):
                yield delta
                if request.begun:
                    raise DecodingError("nan")

    guard = checked(RESTART, WORDS, "one two three four five six")
    guard.engine = Breaking(WORDS, "one two three four five six")
    with pytest.raises(DecodingError):
        guard.answer(HI)


def test_an_answer_without_an_end_is_an_error():
    class Endless(FakeEngine):
        def _deltas(self, request, answer):
            yield from list(super()._deltas(request, answer))[:-1]

    for policy in (REFUSE, Policy.default()):
        guard = checked(policy)
        guard.engine = Endless()
        with pytest.raises(DecodingError):
            guard.answer(HI)


@pytest.mark.parametrize("score", [float("nan"), -0.1, 1.1])
def test_what_is_no_probability_is_a_failure(score):
    guard = checked(REFUSE, WORDS)
    guard.answer_classifier.harm = lambda _: score
    assert guard.answer(HI).text == REFUSAL


def test_a_policy_that_checks_answers_needs_something_to_check_them_with():
    with pytest.raises(ClassifierError, match="answer_classifier"):
        Guard(FakeEngine(), classifier=FakeClassifier(), policy=REFUSE)


def test_each_of_several_answers_is_checked_by_itself():
    guard = checked(REFUSE, "all is well", WORDS, "well again")
    (answers,) = guard.answers([HI], options=GenerationOptions(n=3))
    assert [answer.last.verdict.action for answer in answers] == ["release", "refuse", "release"]
    assert [answer.last.delta.index for answer in answers] == [0, 1, 2]


def test_many_conversations_are_checked_each_as_alone():
    guard = checked(REFUSE, WORDS)
    many = guard.answers([HI, HI])
    assert [answers[0].text for answers in many] == [checked(REFUSE, WORDS).answer(HI).text] * 2


async def test_a_reader_that_goes_away_ends_the_decoding():
    guard = checked(REFUSE, WORDS.replace("bad", "good"))
    pieces = guard.astream(HI)
    await anext(pieces)
    await pieces.aclose()
    assert guard.engine.open == 0


def _astreamed(guard):
    async def pieces():
        return [piece async for piece in guard.astream(HI)]

    return asyncio.run(pieces())


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_restart_begins_when_what_was_being_decoded_has_ended(asynchronous):
    open_before = []

    class Watching(FakeEngine):
        def stream(self, request):
            open_before.append(self.open)
            return super().stream(request)

    guard = checked(RESTART)
    guard.engine = Watching(WORDS, "x y z")
    answer = await guard.aanswer(HI) if asynchronous else guard.answer(HI)
    assert answer.text.endswith("x y z")
    assert open_before == [0, 0]
