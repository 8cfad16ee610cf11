"""A LangChain cache behind the guard: a conversation is judged, counted and recorded before an answer is looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.caches import BaseCache
from langchain_core.globals import get_llm_cache
from langchain_core.outputs import Generation

from rose_guard.errors import SettingsError
from rose_guard.guard.answer_store import StoredAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEPT_BY = "rose_guard"


class CacheBehindGuard(BaseCache):
    """What stands in a model's ``cache`` field, so that LangChain itself finds nothing there, and the guard all.

    LangChain looks a prompt up before the model is asked, which would give a cached answer to a conversation that
    nobody judged. So this gives it none, and is the guard's :class:`~rose_guard.guard.answer_store.AnswerStore`.

    Args:
        inner: where answers are kept; None takes the cache of ``langchain_core.globals.set_llm_cache``.
        required: whether there must be one.
    """

    def __init__(self, inner: BaseCache | None, *, required: bool = True) -> None:
        self._inner, self._required = inner, required

    def find(self, key: str) -> list[StoredAnswer] | None:
        """As the protocol says."""
        cache = self._cache()
        kept: Sequence[Generation] | None = cache.lookup(key, _KEPT_BY) if cache is not None else None
        return None if kept is None else [StoredAnswer.from_json(generation.text) for generation in kept]

    def keep(self, key: str, answers: Sequence[StoredAnswer]) -> None:
        """As the protocol says."""
        if (cache := self._cache()) is not None:
            cache.update(key, _KEPT_BY, [Generation(text=answer.to_json()) for answer in answers])

    def check(self) -> None:
        """See that there is a cache where one was asked for.

        Raises:
            SettingsError: if there is none.
        """
        if self._required and self._cache() is None:
            raise SettingsError("cache=True, but there is no cache; call set_llm_cache first, or pass a cache")

    def lookup(self, prompt: str, llm_string: str) -> None:
        """LangChain's question, which is never answered."""

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        """What LangChain would keep is kept already, under a key that knows the decision."""

    def clear(self, **kwargs: Any) -> None:
        """Forget every answer, those that other models keep there included."""
        if (cache := self._cache()) is not None:
            cache.clear(**kwargs)

    def _cache(self) -> BaseCache | None:
        return self._inner if self._inner is not None else get_llm_cache()


def behind_guard(cache: Any) -> Any:
    """What a model's ``cache`` field holds for what a user gives.

    Args:
        cache: a cache; True for LangChain's global one, None for that too where it is set, False for none.
    """
    if cache is False or isinstance(cache, CacheBehindGuard):
        return cache
    return CacheBehindGuard(cache if isinstance(cache, BaseCache) else None, required=cache is not None)
