"""A short run of the bench that fuzzes the server (`bench/fuzz.py`)."""

from __future__ import annotations

import importlib
import sys

from office import ROOT


def test_nearly_right_input_gets_a_clean_answer() -> None:
    """Submissions, multipart bodies, content types, queries, JSON bodies and paths that hypothesis
    makes: every answer is a 2xx, 3xx or 4xx in the caller's format, and the log stays empty."""
    sys.path.insert(0, str(ROOT / "bench"))
    seen, findings = importlib.import_module("fuzz").fuzz(6, 2564, most=80)
    assert findings == []
    assert len({what for what, _ in seen}) >= 6
    assert sum(seen.values()) > 300
