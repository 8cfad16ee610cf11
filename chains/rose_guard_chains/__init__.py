"""Ready-made chains over rose_guard's public names. They need the extra ``chains``."""

from importlib.util import find_spec

from rose_guard import ModelLoadError

if missing := [name for name in ("langchain", "langgraph", "langchain_text_splitters") if find_spec(name) is None]:
    raise ModelLoadError(f"chains need the package {missing[0]}; run `pip install 'rose-guard[chains]'`")
