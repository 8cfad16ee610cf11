"""The docs keep up with the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rose_guard.policy import Policy

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_page_of_the_command_line_is_what_the_command_says(tmp_path):
    page = tmp_path / "cli.md"
    generate = [sys.executable, "-m", "typer", "rose_guard.cli.main", "utils", "docs", "--name", "rose-guard"]
    subprocess.run([*generate, "--title", "Command line", "--output", str(page)], check=True, capture_output=True)
    assert (ROOT / "docs/reference/cli.md").read_text() == page.read_text(), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_whole_policy_shown_is_valid(page):
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), flags=re.DOTALL):
        if block.startswith("version:"):
            Policy.from_yaml(block, name=page.name)


def test_every_default_is_in_the_reference():
    from rose_guard import ChatRose, RoseSettings
    from rose_guard.langchain.guarded_model import GuardedModel

    table = (ROOT / "docs/reference/settings.md").read_text()
    for model in (RoseSettings, GuardedModel):
        for name in model.model_fields:
            assert f"`{name}`" in table, name
    assert "`cache`" in table
    assert ChatRose.model_fields["cache"].default is False
