"""The program as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping

__all__ = ["WATPHON", "watphon"]

WATPHON = [sys.executable, "-c", "import watphon; watphon.run()"]


def watphon(
    *arguments: str,
    before: Callable[[], None] | None = None,
    env: Mapping[str, str] | None = None,
    typed: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `watphon ARGUMENTS`; `before` is called in the new process (limits, signals); `typed` is
    what it reads."""
    return subprocess.run(
        [*WATPHON, *arguments],
        capture_output=True,
        text=True,
        input=typed,
        timeout=300,
        preexec_fn=before,
        env={**os.environ, "WATPHON_TOKEN": "", "WATPHON_URL": "", **(env or {})},
    )
