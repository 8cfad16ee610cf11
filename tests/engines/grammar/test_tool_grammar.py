"""Laws of answers that call tools."""

import json
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rose_guard import RoseSettings, SettingsError
from rose_guard.engines.engine import GenerationRequest, ReversePrompt, Tool
from rose_guard.engines.grammar import ToolGrammar
from rose_guard.engines.tool_syntax import ToolSyntax
from rose_guard.engines.transformers import TransformersEngine
from tests.engines.grammar.walks import (
    TAGS,
    allowed_by,
    follows,
    ids_of,
    may_end,
    spells,
    tagged_tokenizer,
    walk,
)
from tests.tiny import tiny_model, tiny_tokenizer

SEEDS = st.integers(0, 2**32)
PLAIN, TAGGED = tiny_tokenizer(), tagged_tokenizer()
TOKENIZERS = pytest.mark.parametrize("tokenizer", [PLAIN, TAGGED], ids=["tags are text", "tags are tokens"])
WEATHER = Tool(
    "weather",
    parameters={
        "type": "object",
        "properties": {"city": {"$ref": "#/$defs/City"}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["city"],
        "$defs": {"City": {"enum": ["Oslo", "Rome"]}},
    },
)
PLACE = Tool(
    "place",
    parameters={"$ref": "#/$defs/City", "$defs": {"City": {"properties": {"x": {"type": "string", "maxLength": 4}}}}},
)
NOTHING = Tool("nothing")
TOOLS = (WEATHER, PLACE, NOTHING)
TAGS_AS_TEXT = ToolSyntax()
BARE = ToolSyntax("", "", "name", "parameters")
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
ANSWER = {"type": "object", "properties": {"name": {"type": "integer"}}, "required": ["name"]}


def mask_of(grammar, tokenizer):
    return grammar.token_mask(tokenizer, len(tokenizer))


def written(grammar, tokenizer, seed, **options):
    ids = walk(mask_of(grammar, tokenizer), tokenizer, random.Random(seed), **options)
    assume(ids is not None)
    return tokenizer.decode(ids)


def calls_in(text, syntax):
    """What stands between the tags, and the text around."""
    around, rest = text.split(syntax.opening, 1) if syntax.opening in text else (text, "")
    calls = []
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        calls.append(value)
        assert rest[end:].startswith(syntax.closing)
        more, _, rest = rest[end + len(syntax.closing) :].partition(syntax.opening)
        around += more
    return calls, around


def check_call(call, syntax=TAGS_AS_TEXT, tools=TOOLS):
    tool = {tool.name: tool for tool in tools}[call[syntax.name_key]]
    assert list(call) == [syntax.name_key, syntax.arguments_key]
    assert isinstance(call[syntax.arguments_key], dict)
    assert follows(call[syntax.arguments_key], tool.parameters)


@TOKENIZERS
@given(seed=SEEDS)
def test_where_calls_are_due_the_answer_is_calls_of_known_tools_and_nothing_else(tokenizer, seed):
    text = written(ToolGrammar(TOOLS, choice="any"), tokenizer, seed)
    calls, around = calls_in(text, TAGS_AS_TEXT)
    assert calls
    assert not around.strip()
    for call in calls:
        check_call(call)


@TOKENIZERS
def test_several_calls_may_be_due_unless_only_one_is_wanted(tokenizer):
    for parallel in (True, False):
        mask = mask_of(ToolGrammar(TOOLS, choice="any", parallel=parallel), tokenizer)
        assert may_end(mask, tokenizer, CALL, control=True)
        assert not may_end(mask, tokenizer, "", control=True)
        for gap in ("", "\n"):
            assert spells(mask, tokenizer, CALL + gap + CALL, control=True) is parallel


@TOKENIZERS
@given(seed=SEEDS)
def test_the_tool_that_is_named_is_called_exactly_once(tokenizer, seed):
    text = written(ToolGrammar(TOOLS, name="place"), tokenizer, seed)
    (call,), around = calls_in(text, TAGS_AS_TEXT)
    assert not around
    check_call(call, tools=(PLACE,))


@TOKENIZERS
@given(seed=SEEDS)
def test_whatever_begins_as_a_call_in_a_text_is_one(tokenizer, seed):
    mask = mask_of(ToolGrammar(TOOLS), tokenizer)
    begun = ids_of(tokenizer, "Let me see: <tool_call>", control=True)
    rng = random.Random(seed)
    ids = walk(lambda ids: mask((*begun, *ids)), tokenizer, rng, eager=0.6)
    assume(ids is not None)
    calls, around = calls_in(tokenizer.decode([*begun, *ids]), TAGS_AS_TEXT)
    assert "<tool_call>" not in around
    assert calls
    for call in calls:
        check_call(call)


@TOKENIZERS
@given(text=st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from("<tool_cal/>{}\n")))
def test_text_without_an_opening_is_free_and_may_end_anywhere(tokenizer, text):
    mask = mask_of(ToolGrammar(TOOLS), tokenizer)
    assume("<tool_call>" not in text)
    for before in ("", CALL):
        assert spells(mask, tokenizer, before, control=True)
        ids = ids_of(tokenizer, before, control=True) + ids_of(tokenizer, text)
        assert all(bool(mask(tuple(ids[:end]))[token]) for end, token in enumerate(ids))
        assert bool(mask(tuple(ids))[tokenizer.eos_token_id])


@TOKENIZERS
@pytest.mark.parametrize("parallel", [True, False])
def test_behind_an_opening_only_a_call_can_follow(tokenizer, parallel):
    mask = mask_of(ToolGrammar(TOOLS, parallel=parallel), tokenizer)
    begun = "Well <tool_call>"
    assert allowed_by(mask, ids_of(tokenizer, begun, control=True)) == ids_of(tokenizer, "\n")
    for wrong in ('\n{"name": "weather"}', '\n{"name": "other', ' {"name', '\n{"name": "nothing", "arguments": {"x'):
        assert not spells(mask, tokenizer, begun + wrong, control=True)
    assert spells(mask, tokenizer, "Well " + CALL, control=True)
    assert may_end(mask, tokenizer, "Well " + CALL, control=True)
    assert spells(mask, tokenizer, f"Well {CALL} and {CALL}.", control=True) is parallel


def test_tags_that_are_control_tokens_are_spelt_with_those_alone():
    mask = mask_of(ToolGrammar(TOOLS), TAGGED)
    opening, closing = TAGGED.convert_tokens_to_ids(list(TAGS))
    assert not spells(mask, TAGGED, "Well <tool_call>")
    assert opening in allowed_by(mask)
    inside = ids_of(TAGGED, '<tool_call>\n{"name": "place", "arguments": {"x": "a', control=True)
    assert not {opening, closing, TAGGED.eos_token_id} & set(allowed_by(mask, inside))
    assert allowed_by(mask, ids_of(TAGGED, CALL.removesuffix("</tool_call>"), control=True)) == [closing]


def test_a_control_token_within_an_opening_is_led_by_its_letters():
    tokenizer = tiny_tokenizer(more=("[CALL]",))
    mask = mask_of(ToolGrammar(TOOLS, ToolSyntax("to=[CALL](", ")")), tokenizer)
    call = 'to=[CALL]({"name": "nothing", "arguments": {}})'
    assert spells(mask, tokenizer, f"Hi {call} and {call} to=", control=True)
    assert not spells(mask, tokenizer, "Hi [CALL]", control=True)
    assert not spells(mask, tokenizer, "to=[CALL](")


def test_a_model_that_is_made_of_words_keeps_to_the_grammar_too(smol):
    mask = mask_of(ToolGrammar(TOOLS), smol)
    assert spells(mask, smol, f"Sure. {CALL}\n{CALL} Done, <tool_cal", control=True)
    assert not spells(mask, smol, "Sure <tool_call>{", control=True)


@given(SEEDS)
def test_without_an_opening_there_is_one_call_at_most(seed):
    call = json.loads(written(ToolGrammar(TOOLS, BARE, choice="any"), PLAIN, seed))
    check_call(call, BARE)


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u00a0", "\x1c"])
def test_without_an_opening_text_may_not_begin_as_an_object(blank):
    mask = mask_of(ToolGrammar(TOOLS, BARE), PLAIN)
    assert spells(mask, PLAIN, blank + "x {} {")
    assert may_end(mask, PLAIN, blank)
    assert not spells(mask, PLAIN, blank + '{"a')
    call = '{"name": "nothing", "parameters": {}}'
    assert spells(mask, PLAIN, call)
    assert allowed_by(mask, ids_of(PLAIN, call)) == [PLAIN.eos_token_id]


def test_calls_that_nothing_closes_are_not_followed_by_anything():
    syntax = ToolSyntax("[CALL] ", "")
    for choice in ("auto", "any"):
        mask = mask_of(ToolGrammar(TOOLS, syntax, choice=choice), PLAIN)
        call = '[CALL] {"name": "nothing", "arguments": {}}'
        assert spells(mask, PLAIN, call)
        assert allowed_by(mask, ids_of(PLAIN, call)) == [PLAIN.eos_token_id]


@pytest.mark.parametrize("syntax", [TAGS_AS_TEXT, BARE, ToolSyntax('{"', "}")], ids=["tags", "bare", "like JSON"])
@given(seed=SEEDS)
def test_an_answer_with_a_schema_is_calls_or_follows_it(syntax, seed):
    text = written(ToolGrammar(TOOLS, syntax, answer=ANSWER), PLAIN, seed)
    if syntax.opening and text.startswith(syntax.opening + "{"):
        for call in calls_in(text, syntax)[0]:
            check_call(call, syntax)
        return
    value = json.loads(text)
    if not follows(value, ANSWER):
        check_call(value, syntax)


@TOKENIZERS
def test_an_answer_with_a_schema_may_be_either_but_no_text(tokenizer):
    mask = mask_of(ToolGrammar(TOOLS, answer=ANSWER), tokenizer)
    assert spells(mask, tokenizer, CALL, control=True)
    assert may_end(mask, tokenizer, '{"name": 4}')
    assert not spells(mask, tokenizer, "Hi")
    assert not spells(mask, tokenizer, '{"name": 4}' + CALL, control=True)


def test_equal_names_in_different_tools_schemas_stay_apart():
    one, two = (
        Tool(name, parameters={"properties": {"x": {"$ref": "#/$defs/X"}}, "$defs": {"X": {"const": name}}})
        for name in ("one", "two")
    )
    mask = mask_of(ToolGrammar((one, two), BARE, choice="any"), PLAIN)
    assert spells(mask, PLAIN, '{"name": "two", "parameters": {"x": "two"}}')
    assert not spells(mask, PLAIN, '{"name": "two", "parameters": {"x": "one"}}')


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"tools": ()}, "at least one tool"),
        ({"tools": (NOTHING, NOTHING)}, "name of its own"),
        ({"name": "other"}, "no tool is named 'other'"),
        ({"choice": "weather"}, "must be 'auto' or 'any'"),
        ({"tools": (Tool("a", parameters={"type": "string"}),)}, "'a' must be an object's schema"),
        ({"tools": (Tool("a", parameters={"not": {}}),)}, "'not'"),
        ({"answer": {"if": {}}}, "'if'"),
    ],
)
def test_what_cannot_be_a_grammar_is_refused_when_it_is_made(options, complaint):
    with pytest.raises(SettingsError, match=complaint):
        ToolGrammar(**{"tools": TOOLS, **options})


def test_a_random_model_under_contrast_calls_a_tool(soup):
    model = tiny_model(len(TAGGED))
    model.generation_config.eos_token_id = TAGGED.eos_token_id
    engine = TransformersEngine(model, TAGGED, model_id="tiny")
    for seed in range(3):
        asked = GenerationRequest(
            tuple(soup),
            safe_prompt="Be kind.",
            reverse_prompts=(ReversePrompt("Be bad."),),
            settings=RoseSettings(alpha=0.5, temperature=1.0, seed=seed),
            constraint=ToolGrammar(TOOLS, choice="any", parallel=False),
        )
        *deltas, last = engine.stream(asked)
        assert last.finish_reason == "stop"
        text = "".join(delta.text for delta in [*deltas, last])
        body = text.replace("<tool_call>", "").replace("</tool_call>", "")
        check_call(json.loads(body))
