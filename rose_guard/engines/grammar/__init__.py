"""Grammars that an answer must follow: JSON of a schema, and tool calls. Built on llguidance, an optional package.

Importing this loads neither llguidance nor torch.
"""

from rose_guard.engines.grammar.json_grammar import JsonGrammar
from rose_guard.engines.grammar.tool_grammar import ToolGrammar
from rose_guard.engines.grammar.unlooped import Unlooped

__all__ = ["JsonGrammar", "ToolGrammar", "Unlooped"]
