"""RoseGuardMiddleware: the guard for agents. Needs the extra ``agents``; nothing else of rose_guard imports this."""

from rose_guard.langchain.middleware.guard_middleware import RoseGuardMiddleware

__all__ = ["RoseGuardMiddleware"]
