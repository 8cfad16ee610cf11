"""Laws of answers that are JSON."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from rose_guard import ModelLoadError, RoseSettings, SettingsError
from rose_guard.engines.engine import GenerationRequest, ReversePrompt
from rose_guard.engines.grammar import JsonGrammar
from rose_guard.engines.transformers import TransformersEngine
from tests.engines.grammar.walks import allowed_by, follows, ids_of, may_end, spells, walk
from tests.tiny import tiny_model, tiny_tokenizer

SEEDS = st.integers(0, 2**32)
TOKENIZER = tiny_tokenizer()


def mask_of(schema, tokenizer=TOKENIZER):
    return JsonGrammar(schema).token_mask(tokenizer, len(tokenizer))


def written(schema, tokenizer, seed):
    ids = walk(mask_of(schema, tokenizer), tokenizer, random.Random(seed))
    assume(ids is not None)
    return tokenizer.decode(ids)


LEAVES = st.one_of(
    st.sampled_from(
        [
            {"type": "null"},
            {"type": "boolean"},
            {"type": "integer"},
            {"type": "string"},
            {"type": ["string", "null"], "title": "T", "default": None},
            {"type": "integer", "minimum": -3, "exclusiveMaximum": 12},
            {"type": "number", "exclusiveMinimum": 0.5, "maximum": 100},
            {"type": "integer", "multipleOf": 7, "minimum": 0, "maximum": 1000},
            {"type": "string", "minLength": 2, "maxLength": 4},
            {"type": "string", "pattern": "^[a-c]{1,3}x$"},
            {"const": {"a": [1, None, "é"]}},
            {"enum": ["", 'quote " and \\', 3, False]},
            {"type": "object", "properties": {}},
            {"type": "object", "additionalProperties": {"type": "integer"}},
        ]
    ),
)


def _grown(inner):
    named = st.dictionaries(st.sampled_from(["a", "b", "with space", "ü"]), inner, max_size=3)
    objects = named.flatmap(
        lambda properties: st.lists(st.sampled_from(sorted(properties) or ["a"]), unique=True).map(
            lambda required: {
                "type": "object",
                "properties": properties,
                "required": [name for name in required if name in properties],
            }
        )
    )
    arrays = st.builds(
        lambda items, least, more: {"type": "array", "items": items, "minItems": least, "maxItems": least + more},
        inner,
        st.integers(0, 2),
        st.integers(0, 2),
    )
    pairs = st.lists(inner, min_size=1, max_size=2).map(
        lambda first: {"type": "array", "prefixItems": first, "items": False, "minItems": len(first)}
    )
    unions = st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options})
    return objects | arrays | pairs | unions


@given(st.recursive(LEAVES, _grown, max_leaves=6), SEEDS)
def test_whatever_is_chosen_under_the_mask_is_json_of_the_schema(schema, seed):
    assert follows(json.loads(written(schema, TOKENIZER, seed)), schema)


class Leaf(BaseModel):
    kind: Literal["leaf"]
    label: str = Field(max_length=5)


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["tree"]
    parts: list[Annotated["Tree | Leaf", Field(discriminator="kind")]] = Field(max_length=2)
    note: str | None = None
    sizes: dict[str, int] = {}


@given(SEEDS)
def test_what_pydantic_asks_for_pydantic_accepts(seed):
    Tree.model_validate_json(written(Tree.model_json_schema(), TOKENIZER, seed))


@given(SEEDS)
def test_without_a_schema_any_json_object_will_do(seed):
    assert isinstance(json.loads(written(None, TOKENIZER, seed)), dict)


@settings(max_examples=12)
@given(SEEDS)
def test_the_law_holds_in_a_real_tokenizers_tokens(smol, seed):
    Tree.model_validate_json(written(Tree.model_json_schema(), smol, seed))


def test_any_object_of_the_schema_can_be_written_as_python_writes_it(smol):
    schema = TypeAdapter(list[Leaf]).json_schema()
    for tokenizer in (TOKENIZER, smol):
        text = json.dumps(
            [{"kind": "leaf", "label": "é…\U0001f600"}, {"kind": "leaf", "label": ""}], ensure_ascii=False
        )
        mask = mask_of(schema, tokenizer)
        assert spells(mask, tokenizer, text, control=True)
        assert may_end(mask, tokenizer, text, control=True)


@given(SEEDS)
def test_an_answer_may_end_exactly_where_it_is_complete(seed):
    schema = {"type": "array", "items": {"type": "string"}, "maxItems": 3}
    mask = mask_of(schema)
    ids = walk(mask, TOKENIZER, random.Random(seed))
    assume(ids)
    ends = [bool(mask(tuple(ids[:end]))[TOKENIZER.eos_token_id]) for end in range(len(ids) + 1)]
    assert ends == [False] * len(ids) + [True]
    assert allowed_by(mask, ids) == [TOKENIZER.eos_token_id]


@given(SEEDS)
def test_no_control_token_is_ever_allowed_but_the_end(seed):
    tokenizer = tiny_tokenizer(more=("<tag>", "[TAG]", "plain tag", "  "))
    control = {i for i, token in tokenizer.added_tokens_decoder.items() if token.content.strip()}
    mask = mask_of({"type": "object"}, tokenizer)
    ids = walk(mask, tokenizer, random.Random(seed)) or []
    seen = {token for end in range(len(ids) + 1) for token in allowed_by(mask, ids[:end])}
    assert len(control) == 6
    assert not seen & (control - {tokenizer.eos_token_id})


def test_a_string_may_hold_the_looks_of_a_control_token_and_no_unicode_escape():
    mask = mask_of({"type": "string"})
    assert spells(mask, TOKENIZER, '"<|im_end|>\\n"')
    assert not spells(mask, TOKENIZER, '"\\u00e9"')
    assert not spells(mask, TOKENIZER, '"\x1b"')


@pytest.mark.parametrize("text", ['{"a":1}', '{"a":  1}', '{ "a": 1}', '\n{"a": 1}', '{"a": 1, "b": 2}', '{"a": 1} '])
def test_white_space_and_properties_are_those_that_are_expected(text):
    mask = mask_of({"type": "object", "properties": {"a": {"type": "integer"}}})
    assert spells(mask, TOKENIZER, '{"a": 1}')
    assert not spells(mask, TOKENIZER, text)


@given(SEEDS, st.data())
def test_equal_answers_get_equal_masks_in_whatever_order_they_are_asked_about(seed, data):
    schema = {"type": "array", "items": {"enum": ["ab", "ac", 12]}, "maxItems": 4}
    answers = [walk(mask_of(schema), TOKENIZER, random.Random(seed + i), eager=0.1) or [] for i in range(2)]
    mask = mask_of(schema)
    for _ in range(6):
        ids = data.draw(st.sampled_from(answers))
        asked = tuple(ids[: data.draw(st.integers(0, len(ids)))])
        assert mask(asked).equal(mask_of(schema)(asked))


@pytest.mark.parametrize("size", [len(TOKENIZER), len(TOKENIZER) + 1, len(TOKENIZER) + 733, len(TOKENIZER) - 1])
def test_a_mask_has_the_models_size_and_allows_no_id_that_is_no_token(size):
    mask = JsonGrammar({"type": "string"}).token_mask(TOKENIZER, size)
    for text in ("", '"a', '"a"'):
        allowed = mask(tuple(ids_of(TOKENIZER, text)))
        assert allowed.shape == (size,)
        assert max(allowed_by(mask, ids_of(TOKENIZER, text))) < len(TOKENIZER)


def test_all_ends_that_are_named_may_end_an_answer():
    end, other = TOKENIZER.eos_token_id, TOKENIZER.convert_tokens_to_ids("<|im_start|>")
    mask = JsonGrammar({"const": 1}).token_mask(TOKENIZER, len(TOKENIZER), ends=(other,))
    assert allowed_by(mask, ids_of(TOKENIZER, "1")) == sorted([end, other])


def test_a_tokenizers_tokens_are_read_once_and_let_go_with_it(monkeypatch):
    from rose_guard.engines.grammar import vocabulary

    reads, read = [], vocabulary._read
    monkeypatch.setattr(vocabulary, "_read", lambda *args: reads.append(args[1]) or read(*args))
    tokenizer = tiny_tokenizer()
    for size in (300, 300, 400, 300):
        JsonGrammar().token_mask(tokenizer, size)
    assert reads == [300, 400]
    kept = len(vocabulary._KEPT)
    reads.clear()
    del tokenizer
    assert len(vocabulary._KEPT) == kept - 1


def test_a_random_model_under_contrast_writes_json_of_the_schema(soup):
    engine = TransformersEngine(tiny_model(len(TOKENIZER)), TOKENIZER, model_id="tiny")
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 6},
            "kind": {"enum": ["soup", "stew"]},
            "steps": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99}, "maxItems": 3},
        },
        "required": ["name", "kind", "steps"],
    }
    for temperature in (0.0, 1.0):
        asked = GenerationRequest(
            tuple(soup),
            safe_prompt="Be kind.",
            reverse_prompts=(ReversePrompt("Be bad."),),
            settings=RoseSettings(alpha=0.5, temperature=temperature, seed=1),
            constraint=JsonGrammar(schema),
        )
        *deltas, last = engine.stream(asked)
        assert last.finish_reason == "stop"
        assert follows(json.loads("".join(delta.text for delta in [*deltas, last])), schema)


def test_importing_grammars_loads_neither_llguidance_nor_torch():
    code = "import sys, rose_guard, rose_guard.engines.grammar; assert not {'torch', 'llguidance'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_a_missing_llguidance_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(ModelLoadError, match=r"rose-guard\[grammar\]"):
        JsonGrammar()


def test_a_grammar_shows_its_schema_and_nothing_else():
    assert repr(JsonGrammar({"const": 1})) == "JsonGrammar(schema={'const': 1})"
    assert JsonGrammar({"const": 1}) == JsonGrammar({"const": 1}) != JsonGrammar({"const": 2})


def test_a_schema_that_is_changed_later_changes_no_grammar():
    schema = {"const": 1}
    grammar = JsonGrammar(schema)
    schema["const"] = 2
    assert spells(grammar.token_mask(TOKENIZER, len(TOKENIZER)), TOKENIZER, "1")
    with pytest.raises(SettingsError):
        JsonGrammar({"not": schema})
