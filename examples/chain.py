"""A ready-made chain: a question in, a guarded answer as text out."""

from rose_guard import ChatRose
from rose_guard_chains.guarded_chat import build

chain = build(ChatRose(temperature=0, max_tokens=24), system="You are the guide of a small museum.")
print(chain.invoke({"question": "Why do old paintings turn dark?"}))
