"""Guard models: language models trained to judge conversations, scored by the likelihood of their answers."""

from rose_guard.risk.guard_models.adapter import GuardAdapter, Verdict
from rose_guard.risk.guard_models.granite_guardian import GraniteGuardian
from rose_guard.risk.guard_models.guard_model import ADAPTERS, GuardModel
from rose_guard.risk.guard_models.label_likelihood import Answer, LabelLikelihood
from rose_guard.risk.guard_models.llama_guard import LlamaGuard
from rose_guard.risk.guard_models.qwen3guard import Qwen3Guard
from rose_guard.risk.guard_models.shieldgemma import ShieldGemma
from rose_guard.risk.guard_models.wildguard import WildGuard

__all__ = [
    "ADAPTERS",
    "Answer",
    "GraniteGuardian",
    "GuardAdapter",
    "GuardModel",
    "LabelLikelihood",
    "LlamaGuard",
    "Qwen3Guard",
    "ShieldGemma",
    "Verdict",
    "WildGuard",
]
