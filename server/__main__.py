"""`python -m server --data DIR --host 127.0.0.1 --port 0`: serve a data folder.

Prints `ready URL` once requests are answered, and before it `token TOKEN` at the very first start.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from forms.problems import Problem
from server.app import run


def main() -> int:
    """Serve until stopped; 1 when that cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m server", description="Serve a data folder.")
    parser.add_argument("--data", type=Path, required=True, help="the programme's data folder")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    asked = parser.parse_args()
    try:
        run(asked.data, host=asked.host, port=asked.port, on_ready=tell)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def tell(url: str, first_token: str | None) -> None:
    """Say where the server is."""
    if first_token:
        print(f"token {first_token}")
    print(f"ready {url}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
