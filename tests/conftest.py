"""What the tests share: one loaded copy of the real model, and tiny random ones."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TQDM_DISABLE", "1")

import pytest
from hypothesis import HealthCheck, settings

from rose_guard.engines.transformers import TransformersEngine
from rose_guard.message import Message
from rose_guard.policy import Policy
from rose_guard.risk.embedded import EmbeddedClassifier
from tests.tiny import tiny_model, tiny_tokenizer

# The same examples on every run; how fast a shared machine finds them says nothing of the laws.
_CHECKS = [HealthCheck.filter_too_much, HealthCheck.too_slow]
settings.register_profile("rose_guard", derandomize=True, deadline=None, suppress_health_check=_CHECKS)
settings.load_profile("rose_guard")


@pytest.fixture(scope="session")
def engine():
    """The real embedded model in float32, loaded once for all tests."""
    return TransformersEngine.embedded()


@pytest.fixture(scope="session")
def classifier():
    """The real embedded classifier."""
    return EmbeddedClassifier.shared()


@pytest.fixture(scope="session")
def tokenizer():
    """A small byte-level tokenizer with a chat template, trained on nothing."""
    return tiny_tokenizer()


@pytest.fixture(scope="session")
def model(tokenizer):
    """A tiny random Llama."""
    return tiny_model(len(tokenizer))


@pytest.fixture(scope="session")
def tiny_engine(model, tokenizer):
    return TransformersEngine(model, tokenizer, model_id="tiny")


@pytest.fixture(scope="session")
def roomy_engine(tokenizer):
    """A tiny random model with room for tools and schemas."""
    return TransformersEngine(tiny_model(len(tokenizer), context=4096), tokenizer, model_id="roomy")


@pytest.fixture
def soup():
    return [Message("user", "How do I make a lentil soup?")]


@pytest.fixture(scope="session")
def always():
    return Policy.always(alpha=0.5)
