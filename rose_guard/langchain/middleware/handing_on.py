"""Handing a ruling on to whatever model an agent calls: ours take it, any other is wrapped in one that does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableBinding

from rose_guard.guard.ruling import Ruling, overrules
from rose_guard.langchain.chat_model import ChatRose
from rose_guard.langchain.middleware.recent import Recent
from rose_guard.memory.in_memory import InMemoryConversations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain.agents.middleware.types import ModelRequest
    from langchain_core.messages import BaseMessage

    from rose_guard.guard import GenerationOptions
    from rose_guard.langchain.middleware.judge import Judge
    from rose_guard.policy.decision import Decision
    from rose_guard.policy.policy import Policy

_MODELS = 32


@dataclass(frozen=True, slots=True)
class ForeignModels:
    """The wrappers of models that know nothing of rulings; one for each model, made anew when the policy changes.

    Args:
        local: where risky conversations go if the policy routes them.
        language: of the policy's messages.
        counted: whether the judge has counted a turn that comes here. The wrapper, which reads an earlier answer's
            thoughts too, would take it for another; then it counts for itself, and the ruling brings what is due.
    """

    local: ChatRose | None
    language: str
    counted: bool
    _wrapped: Recent[Any] = field(default_factory=lambda: Recent(_MODELS))

    def guarded(self, model: Any, policy: Policy, judge: Judge, options: GenerationOptions) -> Any:
        """The model behind a guard of its own.

        Raises:
            SettingsError: if the policy routes to a local model and there is none.
        """
        from rose_guard.langchain.foreign import GuardedChatModel

        key = (id(model), policy.digest)  # the wrapper holds the model, so that no other one gets its id
        wrapper = self._wrapped.find(key) or self._wrapped.keep(
            key,
            GuardedChatModel(
                model=model,
                policy=policy,
                classifier=judge.classifier,
                answer_classifier=judge.answer_classifier,
                memory=InMemoryConversations() if self.counted else judge.memory,
                audit=judge.audit,
                on_notify=_told_already if self.counted else judge.on_notify,
                tenant=judge.tenant,
                local=self.local,
                language=self.language,
            ),
        )
        return wrapper.model_copy(update={"principal": options.principal, "thread": options.thread})


def takes_rulings(model: Any) -> bool:
    """Whether a model accepts a call's ``ruling``: ours do, and whoever has wrapped a foreign one already."""
    bound = _unbound(model)
    if isinstance(bound, ChatRose):
        return True
    from rose_guard.langchain.foreign import GuardedChatModel

    return isinstance(bound, GuardedChatModel)


def checks_as_ruled(model: Any) -> bool:
    """Whether a model that is handed a ruling checks its answers by the ruling's policy, having none of its own."""
    bound = _unbound(model)
    return not takes_rulings(bound) or (isinstance(bound, ChatRose) and bound.policy is None)


def checking(model: Any, policy: Policy, judge: Judge, options: GenerationOptions) -> Any:
    """The model, with what scores and records its answers where it has neither policy nor these; weights are shared."""
    if isinstance(model, RunnableBinding):
        return model.model_copy(update={"bound": checking(model.bound, policy, judge, options)})
    if not isinstance(model, ChatRose) or model.policy is not None:
        return model
    lent: dict[str, Any] = {}
    if policy.output.enabled and model.answer_classifier is None:
        lent["answer_classifier"] = judge.answer_classifier
    if judge.audit is not None and model.audit is None:
        whose = {"principal": model.principal or options.principal, "thread": model.thread or options.thread}
        lent |= {"audit": judge.audit, **whose}
    if not lent:
        return model
    return model.model_copy(update={"engine": model.guard.engine, "model": None, "tokenizer": None, **lent})


def stricter(ruling: Ruling, settings: Mapping[str, Any]) -> Ruling:
    """A ruling, or the stricter one that a guard around this one has handed on already."""
    other = settings.get("ruling")
    return other if isinstance(other, Ruling) and overrules(other.decision, ruling.decision) else ruling


def read_by(request: ModelRequest[Any]) -> list[BaseMessage]:
    """The messages that must have been judged when the model is called.

    A model with a policy of its own judges the system prompt; for one without, it is done here.
    """
    system, model = request.system_message, _unbound(request.model)
    unjudged = system is not None and isinstance(model, ChatRose) and model.policy is None
    return [system, *request.messages] if unjudged and system is not None else list(request.messages)


def _told_already(_: Decision) -> None:
    """The judge's decision on the same turn has notified whoever is to see it."""


def _unbound(model: Any) -> Any:
    while isinstance(model, RunnableBinding):
        model = model.bound
    return model
