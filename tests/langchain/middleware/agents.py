"""What the middleware's laws are tried on: a classifier that goes by words, models that say what they are told to."""

import pytest
from langchain.agents import create_agent
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from pydantic import Field

from rose_guard import ChatRose, Policy, RiskAssessment
from rose_guard.assessment import Span
from rose_guard.engines import Contrast, Delta, Timing, Usage
from rose_guard.langchain.middleware import RoseGuardMiddleware
from rose_guard.message import ToolCall
from rose_guard.taxonomy import ATTACKS, HAZARDS

POLICY = Policy.from_yaml("""
version: 1
hazards:
  hate: {threshold: 0.5}
  privacy: {threshold: 0.5, action: refuse}
  defamation: {threshold: 0.5, action: block}
attacks:
  prompt_injection: {threshold: 0.5, action: refuse}
messages:
  refusal: {en: "No, thank you."}
""")
CHECKING = Policy.from_yaml("""
version: 1
hazards:
  hate: {threshold: 0.5}
messages:
  refusal: {en: "No, thank you."}
output: {enabled: true, threshold: 0.5, window_tokens: 16, hold_back_tokens: 4}
""")
WORDS = {"spiteful": "hate", "secret": "privacy", "libel": "defamation", "ignore": "prompt_injection"}
"""Which steer, refuse, block and refuse."""


class Wordy:
    """Finds a risk where its word is, in whatever role, and says where."""

    name = "wordy"

    def __init__(self):
        self.seen = []

    def classify(self, messages):
        self.seen.append(tuple(messages))
        spans = {
            label: Span(place, 0, len(message.content))
            for word, label in WORDS.items()
            for place, message in enumerate(messages)
            if word in message.content
        }
        scores = {label: 0.9 if label in spans else 0.0 for label in (*HAZARDS, *ATTACKS)}
        hazards, attacks = ({label: scores[label] for label in labels} for labels in (HAZARDS, ATTACKS))
        return RiskAssessment(max(scores.values()), hazards, attacks, spans, classifier=self.name)


class Foreign(BaseChatModel):
    """A hosted model: it says what it is told to, and cannot be steered."""

    says: list
    asked: list = Field(default_factory=list)
    """The messages of each call, and its settings."""

    def __init__(self, *says):
        super().__init__(says=list(says) or ["fine"])

    @property
    def _llm_type(self):
        return "foreign"

    def bind_tools(self, tools, *, tool_choice=None, **kwargs):
        return self.bind(tools=[each.name for each in tools], **kwargs)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.asked.append((messages, kwargs))
        said = self.says[min(len(self.asked), len(self.says)) - 1]
        if isinstance(said, Exception):
            raise said
        message = said.model_copy() if isinstance(said, AIMessage) else AIMessage(said)
        return ChatResult(generations=[ChatGeneration(message=message)])


class Script:
    """An engine that answers with texts and tool calls in turn, and remembers what it was asked for."""

    model_id = "script"

    def __init__(self, *says):
        self.requests = []
        self._says = list(says) or ["fine"]

    def stream(self, request):
        self.requests.append(request)
        said = self._says[min(len(self.requests), len(self._says)) - 1]
        return self._deltas(said)

    def streams(self, requests):
        return [self.stream(request) for request in requests]

    async def astream(self, request):
        for delta in self.stream(request):
            yield delta

    def token_ids(self, text):
        return [ord(char) for char in text]

    def _deltas(self, said):
        if isinstance(said, ToolCall):
            yield Delta("", tool_calls=(said,), tokens=1)
        else:
            for word in said.split(" "):
                yield Delta(word + " ", tokens=1)
        yield Delta("", "stop", Usage(1, 1), Contrast(0, 0), Timing())


class Recorder:
    """A tool, and what it was called with."""

    def __init__(self, *gives):
        self.calls = []
        gives = list(gives)

        @tool
        def look(at: str):
            """Look at something."""
            self.calls.append(at)
            return gives[min(len(self.calls), len(gives)) - 1]

        self.tool = look


def call(at="the weather", call_id="1"):
    return AIMessage("", tool_calls=[{"name": "look", "args": {"at": at}, "id": call_id}])


def rose_call(at="the weather"):
    return ToolCall("look", f'{{"at": "{at}"}}', "1")


def guard(policy=POLICY, **kwargs):
    return RoseGuardMiddleware(policy, **{"classifier": Wordy(), **kwargs})


def agent(model, *middleware, tools=(), **kwargs):
    return create_agent(model, list(tools), middleware=list(middleware or [guard()]), **kwargs)


def steered(*says, **kwargs):
    """A ChatRose without a policy of its own, and the engine that it runs."""
    engine = Script(*says)
    return ChatRose(engine=engine, **{"policy": None, **kwargs}), engine


def user(text):
    return {"messages": [("user", text)]}


def texts(state):
    return [message.text for message in state["messages"]]


NO = "No, thank you."
MODELS = {"rose": lambda: steered()[0], "foreign": Foreign}


async def run(graph, state, how, config=None, **kwargs):
    """The final state, whichever way the agent is run."""
    if how == "invoke":
        return graph.invoke(state, config, **kwargs)
    if how == "ainvoke":
        return await graph.ainvoke(state, config, **kwargs)
    if how == "stream":
        return list(graph.stream(state, config, stream_mode="values", **kwargs))[-1]
    return [each async for each in graph.astream(state, config, stream_mode="values", **kwargs)][-1]


WAYS = pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
EITHER = pytest.mark.parametrize("how", ["invoke", "ainvoke"])


def calls_of(model):
    return model.asked if isinstance(model, Foreign) else model.engine.requests
