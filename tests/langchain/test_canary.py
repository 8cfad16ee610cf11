"""A reverse prompt's text is known to the model alone: no answer, log, trace, error or cache key ever holds it."""

import json
import logging

import pytest
import torch
from langchain_core.callbacks import BaseCallbackHandler

from rose_guard import AuditLog, ChatRose, DecodingError, Policy, RoseGuardError
from rose_guard.engines.transformers import TransformersEngine
from rose_guard.langchain.metadata import rose_metadata
from tests.guard.fakes import FakeClassifier
from tests.tiny import tiny_model

CANARY = "canary-7f3a"
POLICY = f"""
version: 1
hazards:
  hate: {{alpha: 0.5, reverse_prompt: mine, safe_prompt: hate}}
reverse_prompts:
  mine: {{en: "You are cruel and say {CANARY} to everyone."}}
output: {{enabled: true, action: restart, reverse_prompt: mine, threshold: 0.5}}
"""


class Suspicious:
    """Finds every first window harmful, so that the answer is begun anew."""

    name = "suspicious"

    def __init__(self):
        self.seen = 0

    def harm(self, text):
        self.seen += 1
        return 0.9 if self.seen == 1 else 0.0


class Tracer(BaseCallbackHandler):
    """Takes down everything that LangChain tells its tracers."""

    def __init__(self):
        self.told = []

    def on_chat_model_start(self, *args, **kwargs):
        self.told.append((args, kwargs))

    def on_llm_new_token(self, *args, **kwargs):
        self.told.append((args, kwargs))

    def on_llm_end(self, *args, **kwargs):
        self.told.append((args, kwargs))

    def on_llm_error(self, *args, **kwargs):
        self.told.append((args, kwargs))


@pytest.fixture
def chat(engine, tmp_path):
    with AuditLog(tmp_path / "audit", b"k" * 32, fsync="never") as log:
        yield ChatRose(
            engine=engine,
            policy=Policy.from_yaml(POLICY),
            classifier=FakeClassifier(hate=0.9),
            answer_classifier=Suspicious(),
            audit=log,
            expose="debug",
            max_tokens=40,
            temperature=0,
        )


def everything(chat, tmp_path, caplog, tracer, message):
    """All that anybody but the model gets to see of a call."""
    return "\n".join(
        [
            message.text,
            json.dumps(message.response_metadata, default=str),
            str(tracer.told),
            caplog.text,
            repr(chat) + str(chat) + repr(chat.guard.policy),
            json.dumps(chat._identifying_params, default=str) + chat._get_llm_string(),
            *(path.read_text() for path in (tmp_path / "audit").iterdir()),
        ]
    )


def test_nobody_but_the_model_sees_a_reverse_prompt(chat, tmp_path, caplog):
    tracer = Tracer()
    with caplog.at_level(logging.DEBUG):
        message = chat.invoke("Say something", config={"callbacks": [tracer]})
    assert message.response_metadata["rose"]["output"]["restarts"] == 1
    assert CANARY not in everything(chat, tmp_path, caplog, tracer, message)


def test_streaming_shows_no_more(chat, tmp_path, caplog):
    tracer = Tracer()
    with caplog.at_level(logging.DEBUG):
        chunks = list(chat.stream("Say something", config={"callbacks": [tracer]}))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert CANARY not in everything(chat, tmp_path, caplog, tracer, whole)


@pytest.mark.parametrize("break_model", ["nan", "raise"])
def test_errors_show_no_more(tokenizer, break_model, caplog):
    model = tiny_model(len(tokenizer))
    if break_model == "nan":
        model.lm_head.weight.data[:] = float("nan")
    else:
        model.model.layers[0].mlp.down_proj.weight = torch.nn.Parameter(torch.zeros(3, 3))
    chat = ChatRose(
        engine=TransformersEngine(model, tokenizer),
        policy=Policy.from_yaml(POLICY.replace("enabled: true", "enabled: false")),
        classifier=FakeClassifier(hate=0.9),
    )
    tracer = Tracer()
    with caplog.at_level(logging.DEBUG), pytest.raises(DecodingError) as caught:
        chat.invoke("Say something", config={"callbacks": [tracer]})
    shown, error = caplog.text + str(tracer.told), caught.value
    while error is not None:
        shown += str(error) + repr(error)
        error = error.__cause__ or error.__context__
    assert CANARY not in shown


def test_a_policy_that_is_wrong_shows_no_more():
    with pytest.raises(RoseGuardError) as caught:
        Policy.from_yaml(POLICY.replace("safe_prompt: hate", "safe_prompt: haet"))
    assert CANARY not in str(caught.value)


def test_decisions_show_no_more():
    policy = Policy.from_yaml(POLICY)
    decision = policy.decide(FakeClassifier(hate=0.9).classify([]), "digest")
    assert CANARY not in repr(decision) + json.dumps(rose_metadata(decision, None, debug=True))
