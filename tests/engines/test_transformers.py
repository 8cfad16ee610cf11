"""Laws of the in-process engine, on a tiny model."""

from itertools import zip_longest

import pytest

from rose_guard import ContextLengthError, DecodingError, InputError, ModelLoadError, RoseSettings, SettingsError
from rose_guard.engines import Delta, Engine, GenerationRequest, ReversePrompt
from rose_guard.engines.transformers import TransformersEngine
from rose_guard.message import Message
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


def test_requests_that_take_turns_do_not_disturb_one_another(tiny_engine, soup):
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
    import torch

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
