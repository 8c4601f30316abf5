"""`python -m server --data DIR --host 127.0.0.1 --port 0`: serve a data folder.

Prints `ready URL` once requests are answered, and before it `token TOKEN` at the very first start.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from forms.problems import Problem
from forms.programme import load
from server.process import run
from server.watch import log


def main() -> int:
    """Serve until stopped; 1 when that cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m server", description="Serve a data folder.")
    parser.add_argument("--data", type=Path, required=True, help="the programme's data folder")
    parser.add_argument("--programme", type=Path, help="the folder with programme.toml")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--log-level", choices=log.LEVELS, default="info")
    parser.add_argument("--access-log", action="store_true", help="a line for each request")
    parser.add_argument(
        "--behind-proxy", default="", metavar="ADDRESSES", help="proxies to believe"
    )
    parser.add_argument("--public-url", metavar="URL", help="the address phones use")
    parser.add_argument("--database", help="postgresql://USER@HOST/NAME; else in the data folder")
    parser.add_argument("--storage", help="s3://BUCKET/PREFIX; else in the data folder")
    parser.add_argument("--workers", type=int, default=1, help="processes that serve")
    asked = parser.parse_args()
    log.begin(asked.log_level, access_log=asked.access_log)
    try:
        run(
            asked.data,
            host=asked.host,
            port=asked.port,
            on_ready=tell,
            behind_proxy=asked.behind_proxy,
            public_url=asked.public_url,
            programme=load(asked.programme) if asked.programme else None,
            database=asked.database,
            storage=asked.storage,
            workers=asked.workers,
        )
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
