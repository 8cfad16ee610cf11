"""Every error that rose_guard raises on purpose. Knows nothing else of the package.

    RoseGuardError
    ├── InputError             a conversation or prompt that cannot be answered as given
    │   └── ContextLengthError it does not fit the model's context
    ├── SettingsError          a decoding setting out of range, or one a caller may not change
    ├── PolicyError            a policy file or object that is wrong
    ├── PolicyViolation        the policy blocks: no text, or no more of it, is given out
    ├── ModelLoadError         weights, tokenizer or a package is missing or cannot be made safe
    ├── ClassifierError        risk could not be scored
    ├── ConversationMemoryError  risky turns could not be counted, or the memory has no room to remember one
    ├── DecodingError          a token could not be chosen with every branch that was due
    ├── TruncatedAnswerError   an answer reached its limit within JSON or a tool call
    ├── AuditError             an event could not be put on record, or an audit log, key or head is wrong
    └── EngineOverloadedError  the engine has no room for another request

Each message says what happened and what to do about it. None of them ever carries a prompt, an answer or
the text of a reverse prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class RoseGuardError(Exception):
    """Base class: catch it to catch everything rose_guard raises on purpose."""


class InputError(RoseGuardError):
    """The conversation cannot be answered as given (empty, no user turn, a forged control token …)."""


class ContextLengthError(InputError):
    """The longest branch of a prompt does not fit the model's context.

    Args:
        prompt_tokens: length of the longest branch, in tokens.
        context_tokens: what the model can read, in tokens; at least one must stay free for the answer.
    """

    def __init__(self, prompt_tokens: int, context_tokens: int) -> None:
        self.prompt_tokens = prompt_tokens
        self.context_tokens = context_tokens
        super().__init__(
            f"the prompt has {prompt_tokens} tokens in its longest branch, but the model reads at most "
            f"{context_tokens}, one of them for the answer; shorten the conversation or use a model with a "
            f"longer context"
        )

    def __reduce__(self) -> tuple[type[ContextLengthError], tuple[int, int]]:
        return type(self), (self.prompt_tokens, self.context_tokens)


class SettingsError(RoseGuardError):
    """A decoding setting is out of range, unknown, or would weaken what the constructor chose."""


class PolicyError(RoseGuardError):
    """A policy is wrong; every mistake found is listed, with its place where it came from a file.

    Args:
        problems: one line per mistake, already in the form ``FILE:LINE:COLUMN: what, and a suggestion``.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[PolicyError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class PolicyViolation(RoseGuardError):  # noqa: N818 - a public name, and not a fault
    """The policy blocks this conversation, or the rest of an answer that could not be checked or recorded.

    With LangChain's ``with_fallbacks``, name the exceptions to handle: by default it handles this one too, and would
    hand what was blocked to the next model.

    Args:
        reason: which rule fired, in words that hold no part of the prompt.
        decision_id: the decision's id, as audit lines and metadata carry it.
    """

    def __init__(self, reason: str, decision_id: str) -> None:
        self.reason = reason
        self.decision_id = decision_id
        super().__init__(f"blocked by policy: {reason} (decision {decision_id})")

    def __reduce__(self) -> tuple[type[PolicyViolation], tuple[str, str]]:
        return type(self), (self.reason, self.decision_id)


class ModelLoadError(RoseGuardError):
    """A model, tokenizer or package is missing, broken, or cannot be made safe to use."""


class ClassifierError(RoseGuardError):
    """Risk could not be scored; the policy's ``classifier.on_error`` says what happens then."""


class ConversationMemoryError(RoseGuardError):
    """Risky turns could not be counted or remembered, so every escalation must be taken for due."""


class DecodingError(RoseGuardError):
    """A step failed, so its token was not chosen: never a token without the contrast that was due."""


class TruncatedAnswerError(RoseGuardError):
    """An answer reached its limit of tokens within a structure: half of one is none.

    Args:
        max_tokens: the limit.
    """

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        super().__init__(
            f"the answer reached max_tokens = {max_tokens} within JSON or a tool call; raise max_tokens, or bound what "
            f"the schema asks for (maxLength, maxItems)"
        )

    def __reduce__(self) -> tuple[type[TruncatedAnswerError], tuple[int]]:
        return type(self), (self.max_tokens,)


class AuditError(RoseGuardError):
    """An event is not on record in the audit log, or an audit log, key or head cannot be used.

    Where an event is not on record, what it is about must not be given out.
    """


class EngineOverloadedError(RoseGuardError):
    """The engine has no room for another request; try again later or raise its limit."""
