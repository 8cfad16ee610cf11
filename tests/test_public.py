"""What rose_guard promises by name."""

import pickle
import subprocess
import sys

import pytest

import rose_guard
from rose_guard import errors

CONTRACT = {
    "ChatRose", "RoseLLM", "Guard", "Policy", "Decision", "RiskAssessment", "RiskClassifier", "RoseSettings",
    "RoseGuardError", "PolicyViolation", "PolicyError", "ModelLoadError", "ContextLengthError",
    "EngineOverloadedError", "Message", "InputError", "SettingsError", "ClassifierError", "DecodingError",
    "ConversationMemoryError", "AuditError", "AuditLog", "LivePolicy", "RoseGuardMiddleware", "GuardedChatModel",
    "untrusted", "RoseEmbeddings", "ToolCall", "TruncatedAnswerError",
}  # fmt: skip


def test_the_public_names_are_pinned():
    assert set(rose_guard.__all__) == CONTRACT
    assert set(dir(rose_guard)) == CONTRACT


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_every_public_name_can_be_imported_and_is_documented(name):
    assert getattr(rose_guard, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="ChatRoze"):
        _ = rose_guard.ChatRoze


@pytest.mark.parametrize("statement", ["import rose_guard", "from rose_guard import Policy; Policy.default()"])
def test_importing_loads_neither_torch_nor_langchain(statement):
    check = (
        f"import sys; {statement}; print([m for m in ('torch', 'transformers', 'langchain_core') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_errors_survive_pickling():
    for error in (
        errors.PolicyError(["a", "b"]),
        errors.PolicyViolation("hate", "id"),
        errors.ContextLengthError(7, 5),
        errors.InputError("x"),
        errors.TruncatedAnswerError(7),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))


def test_every_error_is_a_rose_guard_error_and_drawn_in_the_tree():
    raised = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert all(issubclass(e, errors.RoseGuardError) for e in raised)
    assert all(e.__name__ in errors.__doc__ for e in raised)
