"""A ready-made chain: a conversation that is remembered by thread."""

from langgraph.checkpoint.memory import InMemorySaver

from rose_guard import ChatRose
from rose_guard_chains.guarded_chat import build

llm = ChatRose(temperature=0, max_tokens=24)
chat = build(llm, system="You are the guide of a small museum.", checkpointer=InMemorySaver())
thread = {"configurable": {"thread_id": "visitor 1"}}

for question in ("Why do old paintings turn dark?", "And how are they cleaned?"):
    state = chat.invoke({"messages": [("user", question)]}, thread)
    print(state["messages"][-1].text)
print(len(state["messages"]), "messages in the thread")
