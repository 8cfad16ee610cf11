"""Whatever an extra brings is asked for by the extra's name, where it is missing."""

import subprocess
import sys

import pytest

WITHOUT = """
import sys
from importlib import abc, util

class Missing(abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ModuleNotFoundError(name, name=name)

real = util.find_spec
util.find_spec = lambda name, package=None: None if name in {names!r} else real(name, package)
sys.meta_path.insert(0, Missing())
from rose_guard import ModelLoadError
try:
    {statement}
except ModelLoadError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("statement", "names", "extra"),
    [
        ("from rose_guard import RoseGuardMiddleware", ["langchain"], "agents"),
        ("import rose_guard_chains.guarded_chat", ["langgraph"], "chains"),
        ("import rose_guard_chains.guarded_rag", ["langchain_text_splitters"], "chains"),
        ("from rose_guard.engines.grammar import JsonGrammar; JsonGrammar()", ["llguidance"], "grammar"),
        ("import rose_guard.evaluation.lm_eval_model", ["lm_eval"], "lm-eval"),
    ],
)
def test_a_missing_package_is_an_error_that_names_its_extra(statement, names, extra):
    script = WITHOUT.format(statement=statement, names=names)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"rose-guard[{extra}]" in result.stdout
