"""Tiny random models and tokenizers, made on the spot."""

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_SYSTEM_ROLE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>model\n{% endif %}"
)
WITH_TOOLS_AND_NAMES = (
    "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}"
    "{% if message['name'] %} {{ message['name'] }}{{ message['content'] }}{% else %}\n{{ message['content'] }}{% endif %}"
    "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WITH_TOOLS = (
    "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "{% for call in message['tool_calls'] or [] %}"
    '<call>{"tool": "{{ call.function.name }}", "input": {{ call.function.arguments | tojson }}}</call>'
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FROM_PIECES = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}{{ message['content'] }}{{ '<|' + 'end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|' + 'assistant|>' }}{% endif %}"
)
BY_PLAIN_TEXT = (
    "<|im_start|>{% for message in messages %}{% if message['role'] == 'user' %}[INST] {{ message['content'] }} [/INST]"
    "{% else %}{{ message['content'] }}<|im_end|>{% endif %}{% endfor %}"
)
CONTROL = ("<|im_start|>", "<|im_end|>", "<|tool|>")


def tiny_tokenizer(template=CHATML, *, more=()):
    """A byte-level tokenizer: 256 bytes, three control tokens, and more that are not called special."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({char: i for i, char in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True) for token in CONTROL])
    backend.add_tokens([AddedToken(token, special=False) for token in more])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|im_end|>")
    tokenizer.chat_template = template
    return tokenizer


def tiny_model(vocabulary, *, seed=0, context=512):
    """A random Llama of two layers; the same seed gives the same weights."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        bos_token_id=None,
        eos_token_id=vocabulary - 2,
        pad_token_id=vocabulary - 2,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config).eval()


def small(architecture, config, vocabulary, **options):
    """A random model of another architecture."""
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    tokens = {"vocab_size": vocabulary, "bos_token_id": None, "eos_token_id": 62, "pad_token_id": 62}
    return architecture(config(**sizes, **tokens, num_key_value_heads=2, initializer_range=0.3, **options)).eval()


def small_mistral(vocabulary):
    """Attention in a sliding window."""
    return small(MistralForCausalLM, MistralConfig, vocabulary, sliding_window=6)


def small_qwen(vocabulary):
    """Biases in attention."""
    return small(Qwen2ForCausalLM, Qwen2Config, vocabulary)


def small_gemma(vocabulary):
    """Alternating windows, capped scores, heads of another size."""
    return small(Gemma2ForCausalLM, Gemma2Config, vocabulary, sliding_window=6, head_dim=8)
