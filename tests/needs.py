"""What pip cannot bring: used where it is; with CI=true its absence is a failure, elsewhere a skip."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

__all__ = ["CHROMIUM", "needs_chromium", "needs_engine", "needs_java"]

MODULES = Path(__file__).resolve().parent.parent / "server/web/node_modules"

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


def needs(there: object, package: str) -> pytest.MarkDecorator:
    """Skip where `package` is not installed, unless this is CI."""
    return pytest.mark.skipif(
        not there and not os.environ.get("CI"), reason=f"needs the package {package}"
    )


needs_java = needs(shutil.which("java"), "default-jre-headless")
needs_chromium = needs(CHROMIUM, "chromium")
needs_engine = needs((MODULES / "xforms-engine.js").is_file(), "@getodk/xforms-engine (make web)")
