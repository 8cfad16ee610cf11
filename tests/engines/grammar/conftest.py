"""What tests of grammars share."""

import pytest
from transformers import AutoTokenizer

from rose_guard.engines import embedded


@pytest.fixture(scope="session")
def smol():
    """The embedded model's own tokenizer."""
    return AutoTokenizer.from_pretrained(embedded.prepare(), local_files_only=True)
