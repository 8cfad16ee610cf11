"""An agent whose conversation, tool results and model are guarded at every step."""

from collections.abc import Callable
from typing import Literal

from langchain.agents import create_agent
from langchain.agents.middleware import ModelRequest, ModelResponse, wrap_model_call

from rose_guard import ChatRose, RoseGuardMiddleware


def opening_hours(day: Literal["Saturday", "Sunday"]) -> str:
    """Tell when the museum is open."""
    return f"On {day} the museum is open from ten to five."


@wrap_model_call
def one_call(request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]) -> ModelResponse:
    """Call the tool, then answer: so small a model does not choose well by itself."""
    choice = "none" if request.messages[-1].type == "tool" else "any"
    return handler(request.override(tool_choice=choice, model_settings={"parallel_tool_calls": False}))


llm = ChatRose(policy=None, temperature=0, max_tokens=32)  # steered as the middleware rules
agent = create_agent(llm, [opening_hours], middleware=[one_call, RoseGuardMiddleware()])

question = {"messages": [("user", "When is the museum open on Saturday?")]}
for mode, event in agent.stream(question, stream_mode=["updates", "custom"]):
    if mode == "custom":
        print("judged:", event["stage"], event["action"])
        continue
    for update in event.values():
        for message in (update or {}).get("messages", []):
            print(message.type, message.text or message.tool_calls)
