"""From ChatHuggingFace to ChatRose: three lines change, and the weights are shared."""

from langchain_huggingface import ChatHuggingFace, HuggingFacePipeline
from transformers import pipeline

from rose_guard import ChatRose  # 1. import it

embedded = ChatRose(policy=None)  # stands for the model that your application loads
hf_pipeline = HuggingFacePipeline(
    pipeline=pipeline(
        "text-generation",
        model=embedded.hf_model,
        tokenizer=embedded.hf_tokenizer,
        return_full_text=False,
        max_new_tokens=16,
        do_sample=False,
    )
)

before = ChatHuggingFace(llm=hf_pipeline, tokenizer=embedded.hf_tokenizer)
after = ChatRose.from_pipeline(  # 2. in place of ChatHuggingFace(llm=...)
    hf_pipeline,
    temperature=0,
    max_tokens=16,  # 3. settings of the pipeline do not come along
)

for llm in (before, after):
    message = llm.invoke([("user", "How do I make a lentil soup?")])
    print(f"{type(llm).__name__}: {message.text.strip()!r}")
print("decided:", message.response_metadata["rose"]["action"])
