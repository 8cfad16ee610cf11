"""The method alone, on token ids: a safe prompt, a reverse prompt, and the contrast between them."""

from rose_guard import ChatRose, RoseSettings
from rose_guard.decoding import rose_generate

llm = ChatRose(policy=None)
model, tokenizer = llm.hf_model, llm.hf_tokenizer


def encode(system: str) -> list[int]:
    chat = [{"role": "system", "content": system}, {"role": "user", "content": "Write two sentences about the sea."}]
    return tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_dict=False, sanitize_control_tokens=True
    )


safe, reverse = encode("You are a cheerful poet."), encode("You are a bored clerk.")
for alpha in (0.0, 0.5):
    ids = rose_generate(model, safe, [reverse], settings=RoseSettings(alpha=alpha), max_new_tokens=24)
    print(f"alpha {alpha}:", tokenizer.decode(ids))
