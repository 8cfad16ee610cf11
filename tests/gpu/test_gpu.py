"""What must hold on a GPU too; skipped where there is none."""

import pytest
import torch

from rose_guard import RoseSettings
from rose_guard.decoding import rose_generate
from rose_guard.decoding.batch import Batch
from rose_guard.decoding.branch import Prompt
from rose_guard.decoding.generation import DecodingOptions, Generation
from rose_guard.decoding.runner import runner_for
from rose_guard.engines import GenerationRequest, ReversePrompt, embedded
from rose_guard.engines.transformers import TransformersEngine
from rose_guard.message import Message
from tests.exact.prompts import QUESTIONS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]


@pytest.fixture(scope="module", params=["float32", "bfloat16", "float16"])
def engine(request):
    model, tokenizer = embedded.load(request.param)
    return TransformersEngine(model.to("cuda"), tokenizer)


def test_rows_are_packed(engine):
    assert runner_for(engine.hf_model).packs


def test_a_batch_on_the_gpu_is_the_serial_reference(engine):
    if engine.hf_model.dtype != torch.float32:
        pytest.skip("token for token holds in float32; half precision rounds differently by batch")
    asked = [engine.encode([Message("user", text)], lead) for text in QUESTIONS[:8] for lead in ("Be kind.", "Be bad.")]
    pairs = list(zip(asked[::2], asked[1::2], strict=True))
    options = DecodingOptions(settings=RoseSettings(alpha=0.5), max_new_tokens=24)
    made = [Generation(engine.hf_model, Prompt(tuple(p)), [Prompt(tuple(r))], options=options) for p, r in pairs]
    batch = Batch(runner_for(engine.hf_model), engine.hf_model.device, engine.hf_model.dtype)
    given = {g: [] for g in made}
    for g in made:
        batch.add(g)
    while batch.busy:
        for progress in batch.step():
            given[progress.generation] += [s.token_id for s in progress.steps if s.finish != "stop"]
    expected = [rose_generate(engine.hf_model, p, [r], max_new_tokens=24) for p, r in pairs]
    assert list(given.values()) == expected


def test_every_token_of_a_steered_answer_is_contrasted_in_every_precision(engine):
    requests = [
        GenerationRequest(
            (Message("user", text),), "Be kind.", (ReversePrompt("Be bad."),), RoseSettings(alpha=0.5), 24
        )
        for text in QUESTIONS[:8]
    ]
    for stream in engine.streams(requests):
        *_, last = stream
        assert last.contrast.contrasted_tokens == last.usage.output_tokens > 0
