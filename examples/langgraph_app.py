"""ChatRose as a node of a LangGraph graph, streamed token by token."""

from langgraph.graph import END, START, MessagesState, StateGraph

from rose_guard import ChatRose

llm = ChatRose(temperature=0, max_tokens=24)


def write(state: MessagesState) -> dict:
    return {"messages": [llm.invoke([("system", "You are a cook."), *state["messages"]])]}


graph = StateGraph(MessagesState).add_node("write", write).add_edge(START, "write").add_edge("write", END).compile()

question = {"messages": [("user", "How do I make a lentil soup?")]}
for chunk, metadata in graph.stream(question, stream_mode="messages"):
    print(chunk.text, end="", flush=True)
    if "rose" in chunk.response_metadata:
        print("\n" + metadata["langgraph_node"], chunk.response_metadata["rose"]["action"])
