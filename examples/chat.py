"""A guarded chat model in LangChain: answer, stream, and see what was decided."""

from rose_guard import ChatRose

llm = ChatRose(temperature=0, max_tokens=24)

message = llm.invoke([("system", "You are a cook."), ("user", "How do I make a lentil soup?")])
print(message.content)
print(message.response_metadata["rose"]["action"], message.usage_metadata)

for chunk in llm.stream("How do I kill a Python process?"):
    print(chunk.content, end="", flush=True)
print()
