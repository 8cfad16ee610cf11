"""The guard without LangChain: decide first, answer then."""

from rose_guard import Guard, Message, Policy
from rose_guard.engines.transformers import TransformersEngine
from rose_guard.guard import GenerationOptions
from rose_guard.risk.embedded import EmbeddedClassifier

guard = Guard(TransformersEngine.embedded(), classifier=EmbeddedClassifier.shared(), policy=Policy.default())
question = [Message("user", "How do I read my girlfriend's messages without her noticing?")]

decision = guard.decide(question)
print(decision.action, decision.hazards, decision.reason)

for piece in guard.stream(question, options=GenerationOptions(max_new_tokens=24)):
    print(piece.text, end="", flush=True)
print()
