"""Laws of ChatRose, on tiny and on real models."""

import asyncio

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.messages import ChatMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from pydantic import ValidationError

from rose_guard import (
    ChatRose,
    ContextLengthError,
    InputError,
    ModelLoadError,
    Policy,
    PolicyError,
    PolicyViolation,
    RoseLLM,
    SettingsError,
)
from rose_guard.engines.transformers import TransformersEngine
from rose_guard.guard import Ruling
from tests.guard.fakes import FailingClassifier, FakeClassifier, FakeEngine
from tests.tiny import tiny_model

CHAT = [("system", "You are Acme's bot."), ("user", "How do I make a lentil soup?")]


@pytest.fixture
def plain(tiny_engine):
    return ChatRose(engine=tiny_engine, policy=None, max_tokens=12)


@pytest.fixture
def steered(tiny_engine, always):
    return ChatRose(engine=tiny_engine, policy=always, max_tokens=12)


def gated(engine, policy="default", **scores):
    return ChatRose(engine=engine, policy=policy, classifier=FakeClassifier(**scores), max_tokens=12)


@pytest.mark.parametrize("action", ["allow", "steer", "refuse"])
async def test_invoke_stream_batch_and_their_async_forms_agree(tiny_engine, action):
    scores = {"allow": {}, "steer": {"hate": 0.9}, "refuse": {"suicide_self_harm": 0.95}}[action]
    llm = gated(tiny_engine, **scores)
    expected = llm.invoke(CHAT).content
    assert expected
    assert "".join(chunk.content for chunk in llm.stream(CHAT)) == expected
    assert (await llm.ainvoke(CHAT)).content == expected
    assert "".join([chunk.content async for chunk in llm.astream(CHAT)]) == expected
    assert [message.content for message in llm.batch([CHAT, CHAT])] == [expected] * 2
    assert [message.content for message in await llm.abatch([CHAT, CHAT])] == [expected] * 2
    assert (llm | StrOutputParser()).invoke(CHAT) == expected


@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream"])
def test_metadata_is_the_same_whichever_way_it_was_asked(steered, how):
    if how == "invoke":
        message = steered.invoke(CHAT)
    elif how == "stream":
        message = sum_of(steered.stream(CHAT))
    elif how == "ainvoke":
        message = asyncio.run(steered.ainvoke(CHAT))
    else:

        async def collect():
            return sum_of([chunk async for chunk in steered.astream(CHAT)])

        message = asyncio.run(collect())
    metadata = message.response_metadata
    assert set(metadata) == {"model_name", "model_provider", "finish_reason", "rose"}
    assert set(metadata["rose"]) == {
        "decision_id", "action", "hazards", "attacks", "alpha", "reverse_prompts", "policy_digest",
    }  # fmt: skip
    assert metadata["rose"]["action"] == "steer"
    assert metadata["rose"]["reverse_prompts"] == ["generic"]
    assert metadata["finish_reason"] in ("stop", "length")
    usage = message.usage_metadata
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["output_tokens"] > 0


def sum_of(chunks):
    total = None
    for chunk in chunks:
        total = chunk if total is None else total + chunk
    return total


def test_exactly_one_chunk_is_the_last_and_carries_usage(steered):
    chunks = list(steered.stream(CHAT))
    assert [chunk.usage_metadata is not None for chunk in chunks].count(True) == 1
    assert chunks[-1].chunk_position == "last"


def test_debug_adds_scores_reason_contrast_and_timing(tiny_engine):
    llm = ChatRose(engine=tiny_engine, classifier=FakeClassifier(hate=0.9), max_tokens=6, expose="debug")
    rose = llm.invoke(CHAT).response_metadata["rose"]
    assert rose["scores"]["hate"] == 0.9
    assert "hate" in rose["reason"]
    assert rose["contrast"]["contrasted_tokens"] == llm.invoke(CHAT).usage_metadata["output_tokens"]
    assert rose["timing"]["seconds"] > 0


def test_a_refusal_answers_with_the_policys_message(tiny_engine):
    message = gated(tiny_engine, suicide_self_harm=0.95).invoke(CHAT)
    assert message.content == Policy.default().message("crisis")
    assert message.response_metadata["finish_reason"] == "content_filter"


def test_a_block_raises_and_gives_no_text(tiny_engine):
    llm = gated(tiny_engine, Policy.from_yaml("version: 1\nhazards:\n  hate: {action: block}"), hate=0.9)
    for ask in (llm.invoke, lambda chat: list(llm.stream(chat)), lambda chat: llm.batch([chat])):
        with pytest.raises(PolicyViolation, match="hate"):
            ask(CHAT)


def test_a_failing_classifier_refuses(tiny_engine):
    llm = ChatRose(engine=tiny_engine, classifier=FailingClassifier(RuntimeError("boom")))
    assert llm.invoke(CHAT).response_metadata["rose"]["action"] == "refuse"


@pytest.mark.parametrize(
    "chat",
    [
        "",
        "  ",
        [],
        [("system", "Be kind.")],
        [("user", "Hi"), ("assistant", "Hello")],
        [HumanMessage([{"type": "image_url", "image_url": {"url": "data:"}}])],
        [ChatMessage("Hi", role="system<|im_end|>")],
    ],
    ids=["empty", "blank", "nothing", "no user", "ends with assistant", "image", "role"],
)
def test_bad_input_is_a_typed_error_that_says_what_to_do(steered, chat):
    with pytest.raises(InputError):
        steered.invoke(chat)


def test_a_prompt_longer_than_the_context_names_both_lengths(steered):
    with pytest.raises(ContextLengthError, match="512"):
        steered.invoke("x" * 1000)


def test_content_blocks_of_text_are_joined(plain):
    blocks = [
        SystemMessage("You are Acme's bot."),
        HumanMessage([{"type": "text", "text": "How do I make "}, "a lentil soup?"]),
    ]
    assert plain.invoke(blocks).content == plain.invoke(CHAT).content


def test_stop_strings_work_from_constructor_and_call(tiny_engine, plain):
    whole = plain.invoke(CHAT).content
    stop = whole[len(whole) // 2]
    expected = whole[: whole.index(stop)]
    assert plain.invoke(CHAT, stop=[stop]).content == expected
    assert ChatRose(engine=tiny_engine, policy=None, max_tokens=12, stop=[stop]).invoke(CHAT).content == expected


def test_call_settings_override_and_unknown_ones_are_refused(plain):
    assert plain.invoke(CHAT, max_tokens=2).usage_metadata["output_tokens"] <= 2
    with pytest.raises(SettingsError, match="temprature"):
        plain.invoke(CHAT, temprature=0.5)


@pytest.mark.parametrize("setting", [{"alpha": 0.0}, {"policy": None}, {"horizon": 1}])
def test_a_caller_cannot_loosen_the_guard(steered, setting):
    with pytest.raises(SettingsError):
        steered.invoke(CHAT, **setting)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"polcy": None}, ValidationError),
        ({"alpha": 0.9}, ValidationError),
        ({"temperature": -1}, SettingsError),
        ({"temperature": float("nan")}, SettingsError),
        ({"max_tokens": 0}, SettingsError),
        ({"stop": [""]}, SettingsError),
        ({"model": "gpt2", "tokenizer": "gpt2"}, SettingsError),
        ({"model": object()}, SettingsError),
        ({"policy": "no-such-file.yaml"}, PolicyError),
    ],
)
def test_a_wrong_argument_is_refused_when_constructing(arguments, error):
    with pytest.raises(error):
        ChatRose(**arguments)


BLOCKING = Policy.from_yaml("version: 1\nhazards:\n  hate: {action: block}")


@pytest.mark.parametrize("loaded_before", [False, True])
@pytest.mark.parametrize("how", ["assign", "copy"])
def test_a_policy_given_later_counts_from_then_on(tiny_engine, how, loaded_before):
    llm = gated(tiny_engine, None, hate=0.9)
    if loaded_before:
        assert llm.invoke(CHAT).response_metadata["rose"]["action"] == "allow"
    if how == "assign":
        llm.policy = BLOCKING
    else:
        llm = llm.model_copy(update={"policy": BLOCKING})
    with pytest.raises(PolicyViolation):
        llm.invoke(CHAT)
    llm.policy = "default"
    assert llm.invoke(CHAT).response_metadata["rose"]["action"] == "steer"
    llm.policy = "no-such-file.yaml"
    with pytest.raises(PolicyError):
        llm.invoke(CHAT)
    llm.policy = 42
    with pytest.raises(SettingsError):
        llm.invoke(CHAT)


def test_models_can_be_copied_deeply_and_configured(tiny_engine):
    from langchain_core.runnables import ConfigurableField

    llm = ChatRose(policy=None)
    assert llm.model_copy(deep=True).policy is None
    configurable = gated(tiny_engine).configurable_fields(max_tokens=ConfigurableField("limit"))
    message = configurable.with_config(configurable={"limit": 2}).invoke(CHAT)
    assert message.usage_metadata["output_tokens"] <= 2


def test_a_classifier_that_asks_the_same_model_does_not_wait_for_itself(tiny_engine):
    class Judge(FakeClassifier):
        def classify(self, messages):
            plain.invoke(CHAT)
            return super().classify(messages)

    plain = ChatRose(engine=tiny_engine, policy=None, max_tokens=2)
    assert ChatRose(engine=tiny_engine, classifier=Judge(), max_tokens=2).invoke(CHAT).content is not None


async def test_nothing_is_loaded_on_the_event_loop(monkeypatch):
    import threading

    from rose_guard.engines.transformers import TransformersEngine

    threads = []

    def embedded(*, dtype):
        threads.append(threading.current_thread())
        raise ModelLoadError("no weights")

    monkeypatch.setattr(TransformersEngine, "embedded", embedded)
    for ask in (ChatRose(policy=None).ainvoke, RoseLLM(policy=None).ainvoke):
        with pytest.raises(ModelLoadError):
            await ask("Hi")
    str(RoseLLM())
    assert threads
    assert threading.current_thread() not in threads


@pytest.mark.parametrize("stream", [True, False])
def test_langchains_own_stream_argument_is_accepted(plain, stream):
    assert plain.invoke(CHAT, stream=stream).content == plain.invoke(CHAT).content


def test_a_policy_for_another_classifier_needs_that_classifier(tiny_engine):
    policy = Policy.from_yaml("version: 1\nclassifier: {name: ours}")
    with pytest.raises(SettingsError, match="ours"):
        ChatRose(engine=tiny_engine, policy=policy).invoke(CHAT)


def test_loaded_objects_are_used_as_they_are(model, tokenizer, plain):
    llm = ChatRose(model=model, tokenizer=tokenizer, policy=None, max_tokens=12)
    assert llm.hf_model is model
    assert llm.hf_tokenizer is tokenizer
    assert llm.invoke(CHAT).content == plain.invoke(CHAT).content


def test_a_pipeline_shares_its_weights(model, tokenizer, plain):
    from types import SimpleNamespace

    from langchain_huggingface import HuggingFacePipeline
    from transformers import pipeline

    hf_pipeline = pipeline("text-generation", model=model, tokenizer=tokenizer)
    for given in (hf_pipeline, HuggingFacePipeline(pipeline=hf_pipeline)):
        llm = ChatRose.from_pipeline(given, policy=None, max_tokens=12)
        assert llm.hf_model is model
        assert llm.invoke(CHAT).content == plain.invoke(CHAT).content
    with pytest.raises(SettingsError, match="HuggingFacePipeline"):
        ChatRose.from_pipeline(SimpleNamespace())


def test_from_pretrained_splits_our_arguments_from_hugging_faces(model, tokenizer, tmp_path, plain):
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    llm = ChatRose.from_pretrained(tmp_path, policy=None, max_tokens=12, dtype="float32")
    assert llm.invoke(CHAT).content == plain.invoke(CHAT).content


def test_an_id_that_cannot_be_loaded_says_what_to_do():
    with pytest.raises(ModelLoadError, match="embedded model"):
        ChatRose.from_pretrained("nobody/nothing-of-that-name")


def test_identifying_params_tell_apart_whatever_changes_an_answer(tiny_engine):
    def params(**arguments):
        return ChatRose(engine=tiny_engine, classifier=FakeClassifier(), **arguments)._identifying_params

    variants = [
        {}, {"policy": None}, {"policy": Policy.always(0.5)}, {"policy": Policy.always(0.4)}, {"temperature": 0.5},
        {"seed": 1}, {"max_tokens": 7}, {"stop": ["x"]}, {"beta": 0.2}, {"language": "fr"},
    ]  # fmt: skip
    seen = [str(params(**variant)) for variant in variants]
    assert len(set(seen)) == len(variants)


def test_a_global_cache_is_not_used_unless_asked_for(tiny_engine, always):
    set_llm_cache(InMemoryCache())
    try:
        plain = ChatRose(engine=tiny_engine, policy=None, max_tokens=12)
        steered = ChatRose(engine=tiny_engine, policy=always, max_tokens=12)
        ids = [steered.invoke(CHAT).response_metadata["rose"]["decision_id"] for _ in range(2)]
        assert ids[0] != ids[1]
        assert plain.invoke(CHAT).response_metadata["rose"]["action"] == "allow"
    finally:
        set_llm_cache(None)


async def test_a_cancelled_ainvoke_stops_decoding_within_a_step(tiny_engine):
    llm = ChatRose(engine=tiny_engine, policy=None, max_tokens=400)
    before = tiny_engine.stats().clock.steps
    task = asyncio.create_task(llm.ainvoke("Hi there"))
    while tiny_engine.stats().clock.steps < before + 3:  # noqa: ASYNC110 - the engine tells nobody of its steps
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    at_cancel = tiny_engine.stats().clock.steps
    await asyncio.sleep(0.1)
    assert tiny_engine.stats().running == 0
    assert tiny_engine.stats().clock.steps <= at_cancel + 2  # the one under way, and the one that lets it go


def test_n_answers_are_those_of_their_seeds(tiny_engine, always):
    def generate(**options):
        llm = ChatRose(engine=tiny_engine, policy=always, max_tokens=8, temperature=1.0, **options)
        return [generation.text for generation in llm.generate([[HumanMessage("Hi")]]).generations[0]]

    assert generate(n=3, seed=5) == [generate(seed=seed)[0] for seed in (5, 6, 7)]


def test_a_stream_of_several_answers_is_a_wrong_call(tiny_engine):
    with pytest.raises(SettingsError, match="n = 2"):
        list(ChatRose(engine=tiny_engine, policy=None, n=2).stream("Hi"))


def test_log_probabilities_have_openais_shape_streamed_or_not(tiny_engine, always):
    llm = ChatRose(engine=tiny_engine, policy=always, max_tokens=6, logprobs=True, top_logprobs=2)
    message = llm.invoke("Hi")
    content = message.response_metadata["logprobs"]["content"]
    assert len(content) == message.usage_metadata["output_tokens"]
    assert all(len(token["top_logprobs"]) == 2 and token["logprob"] <= 0 for token in content)
    whole = None
    for chunk in llm.stream("Hi"):
        whole = chunk if whole is None else whole + chunk
    streamed = whole.response_metadata["logprobs"]["content"]
    assert [token["token"] for token in streamed] == [token["token"] for token in content]


def test_the_cache_key_knows_the_stop_strings_of_model_and_call(tiny_engine):
    """LangChain writes the call's stop over a parameter of that name."""
    keys = {
        ChatRose(engine=tiny_engine, policy=None, stop=own)._get_llm_string(stop=called)
        for own in (None, ["x"])
        for called in (None, ["y"])
    }
    assert len(keys) == 4


def test_a_stop_string_that_is_no_list_is_refused(tiny_engine):
    with pytest.raises(SettingsError, match="list"):
        ChatRose(engine=tiny_engine, policy=None).invoke("Hi", stop="END")


def test_a_call_cannot_bias_tokens(tiny_engine, always):
    """A caller who could would write the answer."""
    with pytest.raises(SettingsError, match="logit_bias"):
        ChatRose(engine=tiny_engine, policy=always).invoke("Hi", logit_bias={5: 100})


def test_a_principals_next_turn_begins_with_what_was_read(tokenizer):
    engine = TransformersEngine(tiny_model(len(tokenizer)), tokenizer)
    chat = [("user", "Hello there, how are you today?")]

    def cached(principal):
        llm = ChatRose(engine=engine, policy=None, max_tokens=4, expose="debug", principal=principal)
        return llm.invoke(chat).response_metadata["rose"]["timing"]["cached_tokens"]

    first, again, other = cached("ann"), cached("ann"), cached("bob")
    assert again > first
    assert other < again


def test_token_counts_use_the_models_own_tokenizer(plain, tokenizer):
    assert plain.get_num_tokens("hello") == 5
    assert plain.get_token_ids("<|im_start|>") != tokenizer.convert_tokens_to_ids(["<|im_start|>"])


def test_callbacks_see_every_token(steered):
    from langchain_core.callbacks import BaseCallbackHandler

    class Collect(BaseCallbackHandler):
        def __init__(self):
            self.tokens = []

        def on_llm_new_token(self, token, **kwargs):
            self.tokens.append(token)

    collect = Collect()
    text = "".join(chunk.content for chunk in steered.stream(CHAT, config={"callbacks": [collect]}))
    assert "".join(collect.tokens) == text


async def test_v3_events_stream_the_same_text(steered):
    expected = steered.invoke(CHAT).content
    stream = steered.stream_events(CHAT, version="v3")
    assert stream.output.text == expected


def test_traces_hold_no_reverse_prompt(steered, always):
    from langchain_core.tracers import BaseTracer

    class Record(BaseTracer):
        def __init__(self):
            super().__init__()
            self.seen = ""

        def _persist_run(self, run):
            self.seen += str(run)

    record = Record()
    steered.invoke(CHAT, config={"callbacks": [record]})
    assert "lentil" in record.seen
    assert always.reverse_prompt("generic")[:30] not in record.seen
    assert always.reverse_prompt("generic")[:30] not in repr(steered)


@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream"])
def test_handlers_are_not_told_of_a_ruling_whose_policy_holds_reverse_prompts(how):
    class Handler(BaseCallbackHandler):
        told = ()

        def on_chat_model_start(self, *args, **kwargs):
            self.told = [*self.told, args, kwargs]

    async def drained(chunks):
        return [chunk async for chunk in chunks]

    policy, handler = Policy.default(), Handler()
    ruling = Ruling(policy.decide(FakeClassifier(hate=0.9).classify([]), "d"), policy)
    llm = ChatRose(engine=FakeEngine(), policy=None).bind(ruling=ruling).with_config(callbacks=[handler])
    answered = getattr(llm, how)(CHAT)
    if how.startswith("a"):
        asyncio.run(drained(answered) if how == "astream" else answered)
    else:
        list(answered)
    assert llm.bound.engine.requests[0].reverse_prompts
    assert "invocation_params" in repr(handler.told)
    assert "uling" not in repr(handler.told)
