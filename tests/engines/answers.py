"""Models that think and call, and answers that are given token by token, read as an engine reads them."""

from types import SimpleNamespace

from tokenizers import AddedToken

from rose_guard.decoding.generation import Counts, Step
from rose_guard.engines.prompt import ChatPrompt
from rose_guard.engines.reply import Reply
from rose_guard.message import Message
from tests.tiny import CHATML, tiny_tokenizer

OPENED = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
WITH_CALLS = (
    "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['role'] == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}{{ message['content'] }}"
    "{% for call in message['tool_calls'] or [] %}"
    '<tool_call>\n{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n</tool_call>'
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>")
ASK = (Message("user", "Is it raining in Paris?"),)


def tokenizer_with(template, tags):
    """A tokenizer to which the tags are text, added tokens, special ones, or special ones that it has a name for."""
    if tags == "text":
        return tiny_tokenizer(template)
    if tags == "added":
        return tiny_tokenizer(template, more=TAGS)
    tokenizer = tiny_tokenizer(template)
    special = [AddedToken(tag, special=True) for tag in TAGS]
    if tags == "named special":
        tokenizer.add_special_tokens({"extra_special_tokens": special})
    else:
        tokenizer.backend_tokenizer.add_special_tokens(special)
    return tokenizer


def control(tokenizer, text):
    """Tokens of a text, its control tokens as such."""
    return tokenizer.encode(text, add_special_tokens=False)


def plain(tokenizer, text):
    """Tokens of a text in plain letters alone."""
    return ChatPrompt(tokenizer).token_ids(text)


def read(tokenizer, ids, *, tools=(), messages=ASK, stop=(), finish="stop", constrained=False):
    """What a model's answer is read as: the deltas, of which the last one tells how it ended."""
    prompt = ChatPrompt(tokenizer)
    encoded, reading = prompt.encode(messages, tools=tools), prompt.answer_format
    reply = Reply(
        SimpleNamespace(positive=SimpleNamespace(prompt=SimpleNamespace(ids=encoded)), counts=Counts()),
        tokenizer,
        stop,
        index=0,
        started=0.0,
        parser=reading.parser(encoded, tools, begun=False, constrained=constrained),
        tags=reading.tags(tools, constrained=constrained),
    )
    *ids, last = [*ids, *([tokenizer.eos_token_id] if finish == "stop" else [])]
    steps = [Step(token_id, contrasted=False, changed=False) for token_id in ids]
    steps.append(Step(last, contrasted=False, changed=False, finish=finish))
    deltas = []
    for step in steps:
        if not reply.finished:
            deltas.append(reply.push([step]))
    return [delta for delta in deltas if delta is not None]


def whole(deltas):
    """Text, thoughts, calls and broken calls of an answer."""
    return (
        "".join(delta.text for delta in deltas),
        "".join(delta.reasoning for delta in deltas),
        [(call.name, call.parsed) for delta in deltas for call in delta.tool_calls],
        "".join(delta.broken_call for delta in deltas),
    )
