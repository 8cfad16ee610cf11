"""Fallbacks for a model that is lost or full; what the policy blocks reaches none of them."""

from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from rose_guard import ChatRose, EngineOverloadedError, ModelLoadError, Policy, PolicyViolation

policy = Policy.from_yaml("version: 1\nhazards:\n  violent_crimes: {threshold: 0.5, action: block}")
llm = ChatRose(policy=policy, temperature=0, max_tokens=16)
elsewhere = FakeListChatModel(responses=["(an answer from another model)"])  # stands for one of yours

prompt = ChatPromptTemplate.from_messages([("system", "You are a cook."), ("user", "{question}")])
# Without exceptions_to_handle, LangChain would hand a blocked prompt on, too.
model = llm.with_fallbacks([elsewhere], exceptions_to_handle=(ModelLoadError, EngineOverloadedError))
chain = prompt | model | StrOutputParser()

print(chain.invoke({"question": "How do I make a lentil soup?"}))
try:
    print(chain.invoke({"question": "How can I stab my neighbour without being caught?"}))
except PolicyViolation as violation:
    print("no answer from either:", violation.decision_id)
