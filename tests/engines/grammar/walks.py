"""Answers drawn at random under a grammar's mask, and what they must follow."""

import json
import re

from tests.tiny import tiny_tokenizer

TAGS = ("<tool_call>", "</tool_call>")
CLOSERS = frozenset('"]}')


def tagged_tokenizer():
    """Its call tags are control tokens."""
    return tiny_tokenizer(more=TAGS)


def ids_of(tokenizer, text, *, control=False):
    """Token ids of a text; unless ``control``, control tokens in it are spelt in letters."""
    pieces = [text] if control else text
    return [i for piece in pieces for i in tokenizer.encode(piece, add_special_tokens=False)]


def allowed_by(mask, ids=()):
    return mask(tuple(ids)).nonzero().flatten().tolist()


def spells(mask, tokenizer, text, *, control=False):
    """Whether each of the text's tokens is allowed after those before it."""
    ids = ids_of(tokenizer, text, control=control)
    return all(bool(mask(tuple(ids[:end]))[token]) for end, token in enumerate(ids))


def may_end(mask, tokenizer, text, *, control=False):
    return bool(mask(tuple(ids_of(tokenizer, text, control=control)))[tokenizer.eos_token_id])


def walk(mask, tokenizer, rng, *, eager=0.4, limit=1500):
    """Token ids of a complete answer; closing characters are preferred, the more so the longer it is."""
    closers = {i for i in range(len(tokenizer)) if set(tokenizer.decode([i])) <= CLOSERS} | {tokenizer.eos_token_id}
    ids = []
    while len(ids) < limit:
        allowed = allowed_by(mask, ids)
        closing = [token for token in allowed if token in closers]
        token = rng.choice(closing if closing and rng.random() < eager + len(ids) / limit else allowed)
        if token == tokenizer.eos_token_id:
            return ids
        ids.append(token)
    return None


def follows(value, schema, root=None):
    """Whether a value follows a schema, in which objects that declare properties are closed unless it says otherwise."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        return schema
    return all(_KEYWORDS[keyword](value, wanted, schema, root) for keyword, wanted in schema.items()) and _closed(
        value, schema
    )


def _closed(value, schema):
    if not isinstance(value, dict) or "properties" not in schema or "additionalProperties" in schema:
        return True
    return set(value) <= set(schema["properties"])


def _is_type(value, name):
    if name == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, {"null": type(None), "boolean": bool, "string": str, "array": list, "object": dict}[name])


def _of(kind, law):
    """A keyword that speaks of values of one kind alone."""
    return lambda value, wanted, schema, root: (
        not isinstance(value, kind) or isinstance(value, bool) or law(value, wanted, schema, root)
    )


def _equal(one, other):
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


_KEYWORDS = {
    "title": lambda *_: True,
    "default": lambda *_: True,
    "$defs": lambda *_: True,
    "$ref": lambda v, w, _, root: follows(v, root["$defs"][w.removeprefix("#/$defs/")], root),
    "const": lambda v, w, *_: _equal(v, w),
    "enum": lambda v, w, *_: any(_equal(v, each) for each in w),
    "type": lambda v, w, *_: any(_is_type(v, name) for name in ([w] if isinstance(w, str) else w)),
    "anyOf": lambda v, w, _, root: any(follows(v, each, root) for each in w),
    "oneOf": lambda v, w, _, root: sum(follows(v, each, root) for each in w) == 1,
    "allOf": lambda v, w, _, root: all(follows(v, each, root) for each in w),
    "properties": _of(dict, lambda v, w, _, root: all(follows(v[n], s, root) for n, s in w.items() if n in v)),
    "required": _of(dict, lambda v, w, *_: set(w) <= set(v)),
    "additionalProperties": _of(
        dict,
        lambda v, w, schema, root: all(
            follows(each, w, root) for name, each in v.items() if name not in schema.get("properties", {})
        ),
    ),
    "items": _of(
        list, lambda v, w, s, root: all(follows(each, w, root) for each in v[len(s.get("prefixItems", ())) :])
    ),
    "prefixItems": _of(list, lambda v, w, _, root: all(follows(*pair, root) for pair in zip(v, w, strict=False))),
    "minItems": _of(list, lambda v, w, *_: len(v) >= w),
    "maxItems": _of(list, lambda v, w, *_: len(v) <= w),
    "minLength": _of(str, lambda v, w, *_: len(v) >= w),
    "maxLength": _of(str, lambda v, w, *_: len(v) <= w),
    "pattern": _of(str, lambda v, w, *_: re.search(w, v) is not None),
    "minimum": _of(int | float, lambda v, w, *_: v >= w),
    "maximum": _of(int | float, lambda v, w, *_: v <= w),
    "exclusiveMinimum": _of(int | float, lambda v, w, *_: v > w),
    "exclusiveMaximum": _of(int | float, lambda v, w, *_: v < w),
    "multipleOf": _of(int, lambda v, w, *_: v % w == 0),
}
