"""Laws of the in-process engine, on a tiny model."""

import time
from itertools import zip_longest

import pytest
import torch

from rose_guard import (
    ContextLengthError,
    DecodingError,
    EngineOverloadedError,
    InputError,
    ModelLoadError,
    RoseSettings,
    SettingsError,
)
from rose_guard.decoding.batch_settings import BatchSettings
from rose_guard.engines import Delta, Engine, GenerationRequest, ReversePrompt
from rose_guard.engines.reply import Reply
from rose_guard.engines.transformers import TransformersEngine
from rose_guard.message import Message
from rose_guard.risk.self_judge import SelfJudge
from tests.tiny import tiny_model, tiny_tokenizer


def request(messages, **options):
    steered = {
        "safe_prompt": "Be kind.",
        "reverse_prompts": (ReversePrompt("Be bad."),),
        "settings": RoseSettings(alpha=0.5),
    }
    return GenerationRequest(tuple(messages), **{"max_new_tokens": 20, **steered, **options})


def text_of(engine, asked):
    return "".join(delta.text for delta in engine.stream(asked))


def test_it_is_an_engine(tiny_engine):
    assert isinstance(tiny_engine, Engine)
    assert tiny_engine.model_id == "tiny:float32"


def test_only_the_last_delta_says_how_it_ended(tiny_engine, soup):
    *before, last = tiny_engine.stream(request(soup))
    assert all(delta.finish_reason is None and delta.usage is None for delta in before)
    assert last.finish_reason in ("stop", "length")
    assert last.usage.output_tokens == last.contrast.contrasted_tokens <= 20
    assert last.usage.input_tokens == len(tiny_engine._prompt.encode(soup, lead="Be kind."))


async def test_async_gives_what_sync_gives(tiny_engine, soup):
    pieces = [delta.text async for delta in tiny_engine.astream(request(soup))]
    assert "".join(pieces) == text_of(tiny_engine, request(soup))


def test_a_plain_request_runs_one_branch(tiny_engine, soup):
    *_, last = tiny_engine.stream(GenerationRequest(tuple(soup), max_new_tokens=5))
    assert last.contrast.contrasted_tokens == 0


def test_a_stop_string_ends_the_answer_before_it(tiny_engine, soup):
    whole = text_of(tiny_engine, request(soup))
    stop = whole[len(whole) // 2 :][:2]
    *_, last = tiny_engine.stream(request(soup, stop=(stop,)))
    assert text_of(tiny_engine, request(soup, stop=(stop,))) == whole[: whole.index(stop)]
    assert last.finish_reason == "stop"


class Letters:
    """A grammar of ASCII letters, which a random model needs to write text that can be read back."""

    def __init__(self):
        self.asked = []

    def token_mask(self, tokenizer, vocabulary, ends=()):
        letters = [token.isascii() and token.isalpha() for token in map(tokenizer.decode, range(len(tokenizer)))]
        allowed = torch.tensor(letters + [False] * (vocabulary - len(tokenizer)))

        def mask(generated):
            self.asked.append(len(generated))
            return allowed

        return mask


@pytest.mark.parametrize("kept", [1, 4, 9])
def test_an_answer_that_is_begun_goes_on_as_if_it_had_never_stopped(tiny_engine, soup, kept):
    whole = text_of(tiny_engine, request(soup, constraint=Letters()))
    begun = whole[:kept]
    assert len(tiny_engine.token_ids(begun)) == kept
    left = request(soup, constraint=Letters(), begun=begun, max_new_tokens=20 - kept)
    *deltas, last = tiny_engine.stream(left)
    assert begun + "".join(delta.text for delta in [*deltas, last]) == whole
    assert last.usage.input_tokens == last.prompt_tokens == len(tiny_engine._prompt.encode(soup, lead="Be kind."))


def test_a_grammar_goes_on_behind_what_is_begun(tiny_engine, soup):
    grammar = Letters()
    text_of(tiny_engine, request(soup, begun="abc", max_new_tokens=3, constraint=grammar))
    assert grammar.asked == list(range(len(tiny_engine.token_ids("abc")) + 3))


def test_deltas_count_every_token_once(tiny_engine, soup):
    *deltas, last = tiny_engine.stream(request(soup))
    assert sum(delta.tokens for delta in [*deltas, last]) == last.usage.output_tokens


def test_requests_that_are_read_in_turns_do_not_disturb_one_another(tiny_engine, soup):
    other = [Message("user", "Bye")]
    alone = [text_of(tiny_engine, request(soup)), text_of(tiny_engine, request(other))]
    streams = [tiny_engine.stream(request(soup)), tiny_engine.stream(request(other))]
    turns = zip_longest(*streams, fillvalue=Delta(""))
    texts = ["".join(delta.text for delta in answer) for answer in zip(*turns, strict=True)]
    assert texts == alone


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [Message("user", "")],
        [Message("user", " \n")],
        [Message("system", "Be kind.")],
        [Message("user", "Hi"), Message("assistant", "Hello")],
        [Message("user", "Hi"), Message("system", "Be kind.")],
    ],
    ids=["none", "empty", "blank", "no user", "ends with assistant", "ends with system"],
)
def test_what_cannot_be_answered_is_an_input_error(tiny_engine, messages):
    with pytest.raises(InputError):
        list(tiny_engine.stream(request(messages)))


def test_a_conversation_longer_than_the_context_names_both_lengths(tiny_engine):
    with pytest.raises(ContextLengthError, match="512"):
        list(tiny_engine.stream(request([Message("user", "x" * 600)])))


def test_the_longest_branch_counts(tiny_engine, soup):
    long = (ReversePrompt("x" * 600),)
    with pytest.raises(ContextLengthError):
        list(tiny_engine.stream(request(soup, reverse_prompts=long)))


def test_a_nan_logit_ends_the_request_and_shows_nothing(tokenizer, soup):
    model = tiny_model(len(tokenizer))
    model.lm_head.weight.data[5, :] = float("nan")
    shown = []
    with pytest.raises(DecodingError, match="not finite"):  # noqa: PT012 - what was shown before counts too
        for delta in TransformersEngine(model, tokenizer).stream(request(soup)):
            shown.append(delta)
    assert shown == []


def test_an_error_does_not_spoil_the_next_request(tiny_engine, soup):
    before = text_of(tiny_engine, request(soup))
    with pytest.raises(ContextLengthError):
        list(tiny_engine.stream(request([Message("user", "x" * 600)])))
    assert text_of(tiny_engine, request(soup)) == before


def test_a_contrast_needs_both_reverse_prompts_and_an_alpha(soup):
    with pytest.raises(SettingsError):
        request(soup, settings=RoseSettings(alpha=0))
    with pytest.raises(SettingsError):
        request(soup, reverse_prompts=())


def test_branches_that_read_the_same_are_refused_rather_than_called_contrasted(tiny_engine, soup):
    with pytest.raises(InputError, match="nothing to contrast"):
        list(tiny_engine.stream(request(soup, reverse_prompts=(ReversePrompt("Be kind."),))))


def test_an_empty_stop_string_is_refused(soup):
    with pytest.raises(SettingsError, match="stop"):
        request(soup, stop=("",))


def test_prompts_stay_out_of_reprs(soup):
    shown = repr(request(soup))
    assert "Be bad" not in shown
    assert "Be kind" not in shown
    assert "lentil" not in shown


def test_a_model_saved_to_a_folder_loads_from_it(model, tokenizer, tmp_path, tiny_engine, soup):
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = TransformersEngine.from_pretrained(tmp_path, dtype="float32")
    assert text_of(loaded, request(soup)) == text_of(tiny_engine, request(soup))


@pytest.mark.parametrize("where", ["/nonexistent/folder", "nobody/nothing-of-that-name"])
def test_a_model_that_cannot_be_found_is_a_load_error_that_says_what_to_do(where):
    with pytest.raises(ModelLoadError, match=r"ChatRose\(\)"):
        TransformersEngine.from_pretrained(where)


def test_pickled_weights_are_refused_unless_asked_for_by_name(model, tokenizer, tmp_path):
    model.config.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelLoadError, match="safetensors"):
        TransformersEngine.from_pretrained(tmp_path)


def test_a_template_without_a_system_role_can_be_steered(model, soup):
    from tests.tiny import NO_SYSTEM_ROLE

    engine = TransformersEngine(model, tiny_tokenizer(NO_SYSTEM_ROLE))
    *_, last = engine.stream(request(soup))
    assert last.contrast.contrasted_tokens == last.usage.output_tokens


def test_requests_that_begin_together_are_answered_as_alone(tiny_engine):
    asked = [request([Message("user", text)], max_new_tokens=n) for text, n in (("Hi", 9), ("Bye", 20), ("x" * 50, 3))]
    alone = [text_of(tiny_engine, one) for one in asked]
    together = [list(stream) for stream in tiny_engine.streams(asked)]
    assert ["".join(delta.text for delta in deltas) for deltas in together] == alone


def test_if_one_of_many_is_refused_none_is_under_way(tiny_engine, soup):
    with pytest.raises(InputError):
        tiny_engine.streams([request(soup, max_new_tokens=400), request([])])
    while tiny_engine.stats().running:
        pass
    assert text_of(tiny_engine, request(soup))


async def test_threads_and_event_loops_share_the_batch(tiny_engine, soup):
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    expected = text_of(tiny_engine, request(soup))

    async def read():
        return "".join([delta.text async for delta in tiny_engine.astream(request(soup))])

    with ThreadPoolExecutor(4) as pool:
        threads = [pool.submit(text_of, tiny_engine, request(soup)) for _ in range(4)]
        loops = await asyncio.gather(*[read() for _ in range(4)])
        texts = await asyncio.gather(*[asyncio.wrap_future(thread) for thread in threads])
    assert {*texts, *loops} == {expected}


def limited(tokenizer, **limits):
    return TransformersEngine(tiny_model(len(tokenizer)), tokenizer, settings=BatchSettings(**limits))


async def test_a_full_queue_refuses_at_once_or_after_the_deadline_that_was_set(tokenizer, soup):
    long = request(soup, max_new_tokens=300, settings=RoseSettings(alpha=0.5, logit_bias={5: 100}))
    for wait in (0.0, 0.1):
        engine = limited(tokenizer, max_branches=2, max_queue=0, queue_timeout_s=wait, prompt_lookup_num_tokens=0)
        engine._batch._runner._model.register_forward_pre_hook(lambda *_: time.sleep(0.01))
        running = engine.stream(long)
        started = time.monotonic()
        with pytest.raises(EngineOverloadedError):
            engine.stream(long)
        with pytest.raises(EngineOverloadedError):
            await anext(engine.astream(long))
        assert time.monotonic() - started >= 2 * wait
        running.close()


def test_who_may_wait_gets_the_place_that_becomes_free(tokenizer, soup):
    engine = limited(tokenizer, max_branches=2, max_queue=0, queue_timeout_s=30)
    first = engine.stream(request(soup))
    assert text_of(engine, request(soup)) == "".join(delta.text for delta in first)


def test_more_than_the_queue_holds_is_answered_when_waiting_is_allowed(tokenizer, soup):
    engine = limited(tokenizer, max_branches=2, max_queue=1, queue_timeout_s=30)
    answers = [list(stream) for stream in engine.streams([request(soup, max_new_tokens=4)] * 5)]
    assert len({"".join(delta.text for delta in answer) for answer in answers}) == 1


def test_closing_dropping_and_cancelling_free_the_place(tokenizer, soup):
    engine = limited(tokenizer, max_branches=2)
    endless = request(soup, max_new_tokens=400, settings=RoseSettings(alpha=0.5, logit_bias={5: 100}))
    stream = engine.stream(endless)
    next(stream)
    stream.close()
    del stream
    dropped = engine.stream(endless)
    del dropped
    assert text_of(engine, request(soup, max_new_tokens=3))
    assert engine.stats().waiting == 0


def test_a_request_that_can_never_fit_is_refused_whatever_may_wait(tokenizer, soup):
    engine = limited(tokenizer, max_branches=1, queue_timeout_s=600)
    with pytest.raises(EngineOverloadedError, match="alone needs"):
        engine.stream(request(soup))


def test_a_request_made_on_the_workers_own_thread_is_answered(tiny_engine, soup):
    from rose_guard.engines.worker import worker

    assert worker.run(text_of, tiny_engine, request(soup)) == text_of(tiny_engine, request(soup))


def test_the_policys_prompts_are_read_once_and_no_users_text_is_kept(tokenizer):
    engine = limited(tokenizer)
    *_, cold = engine.stream(request([Message("user", "My secret is 1234.")]))
    entries = engine.stats().prefixes.entries
    *_, warm = engine.stream(request([Message("user", "Something else")]))
    assert entries == engine.stats().prefixes.entries == 2  # the safe prompt and the reverse prompt
    assert warm.timing.cached_tokens == cold.timing.cached_tokens > 0
    secret = tokenizer.encode("1234", add_special_tokens=False)
    for _, ids in engine._batch.prefixes._entries:
        assert not any(list(ids[i : i + 4]) == secret for i in range(len(ids)))
    engine.forget()
    assert engine.stats().prefixes.entries == 0


def test_a_fault_in_the_engine_itself_reaches_everyone_who_waits(tokenizer, soup, monkeypatch):
    engine = limited(tokenizer)

    def fail():
        raise RuntimeError("a fault of our own")

    monkeypatch.setattr(engine._batch, "step", fail)
    raised = []
    for stream in engine.streams([request(soup), request(soup)]):
        with pytest.raises(DecodingError, match="RuntimeError") as caught:
            list(stream)
        raised.append(caught.value)
    # Each has its own: an exception raised twice would carry one user's frames to the other.
    assert raised[0] is not raised[1]
    assert all(error.__cause__ is None for error in raised)
    monkeypatch.undo()
    assert text_of(engine, request(soup))


def test_an_answer_that_cannot_be_read_fails_alone(tokenizer, soup, monkeypatch):
    engine = limited(tokenizer)
    expected = text_of(engine, request(soup))
    push = Reply.push

    def fail(reply, steps):
        if reply.generation.limit == 7:
            raise OverflowError("out of range")
        return push(reply, steps)

    monkeypatch.setattr(Reply, "push", fail)
    broken, sound = engine.streams([request(soup, max_new_tokens=7), request(soup)])
    with pytest.raises(DecodingError, match="OverflowError"):
        list(broken)
    assert "".join(delta.text for delta in sound) == expected


def test_no_requests_are_no_streams(tiny_engine):
    assert tiny_engine.streams([]) == []


def test_a_child_after_a_fork_decodes_afresh(tokenizer, soup):
    import os
    import warnings

    engine = limited(tokenizer)
    running = engine.stream(request(soup, max_new_tokens=300, settings=RoseSettings(alpha=0.5, logit_bias={5: 100})))
    next(running)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        torch.set_num_threads(1)  # the parent's other threads are not here
        os._exit(0 if text_of(engine, request(soup, max_new_tokens=3)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    running.close()


def test_log_probabilities_come_with_the_tokens(tiny_engine, soup):
    deltas = list(tiny_engine.stream(request(soup, logprobs=2)))
    told = [logprob for delta in deltas for logprob in delta.logprobs]
    assert len(told) == deltas[-1].usage.output_tokens
    assert all(logprob.logprob <= logprob.top[0][1] <= 0 for logprob in told)


def test_a_constraint_makes_its_mask_from_the_engines_tokenizer(tiny_engine, soup):
    class OnlyA:
        def token_mask(self, tokenizer, vocabulary, ends=()):
            mask = torch.zeros(vocabulary, dtype=torch.bool)
            mask[tokenizer.encode("a", add_special_tokens=False)] = True
            return lambda _: mask

    assert text_of(tiny_engine, request(soup, constraint=OnlyA(), max_new_tokens=5)) == "aaaaa"


@pytest.mark.parametrize("options", [{"n": 0}, {"logprobs": 21}, {"logprobs": -1}])
def test_what_an_engine_cannot_be_asked_is_refused(soup, options):
    with pytest.raises(SettingsError):
        request(soup, **options)


def test_label_likelihoods_are_those_of_the_whole_answer_with_its_end(tiny_engine):
    prompt = [Message("user", "safe or unsafe?")]
    labels = ["safe", "unsafe", "s"]
    ids, end = tiny_engine.encode(prompt), tiny_engine.hf_tokenizer.eos_token_id
    for label, found in zip(labels, tiny_engine.label_logprobs(prompt, labels), strict=True):
        answer = [*tiny_engine.token_ids(label), end]
        with torch.inference_mode():
            logprobs = tiny_engine.hf_model(torch.tensor([[*ids, *answer]])).logits[0].log_softmax(-1)
        expected = sum(float(logprobs[len(ids) - 1 + i, token]) for i, token in enumerate(answer))
        assert found == pytest.approx(expected, abs=1e-3)


def test_a_prompt_too_long_to_judge_is_an_error(tiny_engine):
    with pytest.raises(ContextLengthError):
        tiny_engine.label_logprobs([Message("user", "x" * 600)], ["safe"])


def test_the_served_model_can_judge_by_itself(tokenizer):
    engine = TransformersEngine(tiny_model(len(tokenizer), context=8192), tokenizer)
    assessment = SelfJudge(engine, model_id=engine.model_id).classify("hello")
    assert max(assessment.hazards.values()) == pytest.approx(assessment.harmful)
