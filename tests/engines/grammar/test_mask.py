"""Laws of a mask whose grammar, or whose answer, is at fault."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from rose_guard import DecodingError, ModelLoadError
from rose_guard.engines.grammar import JsonGrammar
from rose_guard.engines.grammar.mask import GrammarMask
from tests.engines.grammar.walks import allowed_by, ids_of, spells
from tests.tiny import tiny_tokenizer

TOKENIZER = tiny_tokenizer()


def mask_of(schema):
    return JsonGrammar(schema).token_mask(TOKENIZER, len(TOKENIZER))


def all_masks(mask, ids):
    return [mask(ids[:end]) for end in range(len(ids) + 1)]


def test_an_answer_that_does_not_follow_the_grammar_is_an_error_that_does_not_quote_it():
    mask = mask_of({"type": "string"})
    with pytest.raises(DecodingError, match="does not follow") as caught:
        mask(tuple(ids_of(TOKENIZER, "secret")))
    assert "secret" not in str(caught.value)


def test_a_mask_is_still_right_after_an_answer_that_was_wrong():
    mask, wrong = mask_of({"enum": ["ab", "ac"]}), tuple(ids_of(TOKENIZER, '"ax'))
    for _ in range(2):
        with pytest.raises(DecodingError):
            mask(wrong)
        assert allowed_by(mask, ids_of(TOKENIZER, '"a')) == sorted(ids_of(TOKENIZER, "bc"))


def test_an_answer_that_goes_on_behind_its_end_is_an_error_that_says_what_to_set():
    mask = mask_of({"const": 1})
    with pytest.raises(DecodingError, match="eos_token_id"):
        mask((*ids_of(TOKENIZER, "1"), TOKENIZER.eos_token_id))


@pytest.mark.parametrize(
    ("schema", "begun"),
    [
        ({"$ref": "#"}, ""),
        ({"type": "string", "pattern": "(([a-z]{1,100}){1,100}){1,100}"}, '"' + "ab" * 60),
    ],
    ids=["for ever", "too complex"],
)
def test_a_grammar_that_comes_to_nothing_is_an_error_and_stays_one(schema, begun):
    mask, ids = mask_of(schema), ids_of(TOKENIZER, begun)
    for _ in range(2):
        with pytest.raises(DecodingError, match="simplify"):
            all_masks(mask, ids)


def test_a_grammar_that_fails_for_one_answer_goes_on_for_another():
    mask = mask_of({"type": "array", "items": {"type": "string", "pattern": "(([a-z]{1,100}){1,100}){1,100}"}})
    fresh = allowed_by(mask, ids_of(TOKENIZER, "["))
    with pytest.raises(DecodingError):
        mask(ids_of(TOKENIZER, '["' + "ab" * 60))
    assert allowed_by(mask, ids_of(TOKENIZER, "[")) == fresh


class Matcher:
    """Allows nothing, or fails, without saying so in any other way."""

    def __init__(self, *, bits=b"", fails=False):
        self._bits, self._fails, self._failed = bits, fails, False

    def compute_bitmask(self):
        self._failed = self._fails
        return self._bits

    def is_error(self):
        return self._failed

    def try_consume_tokens(self, tokens):
        return len(tokens)

    def stop_reason(self):
        return "InternalError"


@pytest.mark.parametrize("matcher", [Matcher(bits=bytes(64)), Matcher(bits=b"\xff" * 64, fails=True)])
def test_a_mask_that_allows_nothing_or_comes_of_an_error_is_never_given_out(matcher):
    mask = mask_of({"type": "string"})
    mask._matcher = matcher
    with pytest.raises(DecodingError, match="InternalError"):
        mask(())


def test_a_mask_may_be_changed_by_whoever_got_it():
    mask = mask_of({"type": "string"})
    expected = mask(()).clone()
    mask(()).fill_(value=True)
    assert mask(()).equal(expected)


def words_tokenizer(**options):
    backend = Tokenizer(models.WordLevel({"a": 0, "<end>": 1, "[UNK]": 2}, unk_token="[UNK]"))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Whitespace(), decoders.WordPiece()
    return PreTrainedTokenizerFast(tokenizer_object=backend, **options)


def pieces_tokenizer():
    """Pieces with byte fallback, as sentencepiece makes them, and a control token for an end."""
    pieces = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *'ab"{}:,', '"\u2581', "\u2581{"]
    backend = Tokenizer(
        models.BPE({p: i for i, p in enumerate(pieces)}, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    backend.normalizer = normalizers.Replace(" ", "\u2581")
    backend.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", unk_token="<unk>")


def test_pieces_with_byte_fallback_spell_all_that_bytes_do():
    tokenizer = pieces_tokenizer()
    mask = JsonGrammar({"properties": {"a": {"type": "string"}}}).token_mask(tokenizer, len(tokenizer))
    text = '{"a": "b \u00e9\U0001f600<unk></s>"}'
    assert spells(mask, tokenizer, text)
    assert allowed_by(mask, ids_of(tokenizer, text)) == [tokenizer.eos_token_id]
    assert tokenizer.decode(ids_of(tokenizer, text)) == text
    assert tokenizer.convert_tokens_to_ids("\u2581{") not in allowed_by(mask)


class SlowTokenizer:
    eos_token_id = 1

    def __len__(self):
        return 2


@pytest.mark.parametrize(
    ("tokenizer", "size", "ends", "complaint"),
    [
        (words_tokenizer(eos_token="<end>"), 3, (), "bytes"),
        (words_tokenizer(), 3, (), "end-of-sequence"),
        (TOKENIZER, 100, (), "end-of-sequence"),
        (SlowTokenizer(), 3, (), "fast tokenizer"),
        (TOKENIZER, len(TOKENIZER), (5,), r"\[5\].*plain text"),
    ],
    ids=["of words", "without an end", "whose end the model lacks", "slow", "that ends in plain text"],
)
def test_a_tokenizer_that_no_grammar_can_be_followed_with_is_refused(tokenizer, size, ends, complaint):
    with pytest.raises(ModelLoadError, match=complaint):
        JsonGrammar().token_mask(tokenizer, size, ends)


def test_a_mask_is_a_token_mask():
    assert isinstance(mask_of(None), GrammarMask)
    assert mask_of(None)(()).dtype.is_floating_point is False
