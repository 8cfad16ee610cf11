"""RoseGuardMiddleware: the guard for agents. Needs the extra ``agents``; nothing else of rose_guard imports this."""

from importlib.util import find_spec

from rose_guard.errors import ModelLoadError

if find_spec("langchain") is None:
    raise ModelLoadError("agents need the package langchain; run `pip install 'rose-guard[agents]'`")

from rose_guard.langchain.middleware.guard_middleware import RoseGuardMiddleware

__all__ = ["RoseGuardMiddleware"]
