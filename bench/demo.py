"""How long the whole programme takes: `watphon demo` at full size and with 300 people.

    python bench/demo.py [PEOPLE ...]      # 0 means full size; default: 0 300

Each run is a process of its own in a temporary folder. Beside each: the seconds this machine needs
merely to import the libraries, which is the floor of a small run, and the peak memory of the program and
of the server it starts.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

RUN = "import watphon; watphon.run()"
IMPORT = "import watphon, analysis.evaluate, server.app"


def timed(arguments: list[str]) -> tuple[float, float, str]:
    """Wall seconds, peak megabytes of all processes together, and what was said."""
    peak = 0.0
    begun = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    watched = psutil.Process(process.pid)
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.2):
            try:
                family = [watched, *watched.children(recursive=True)]
                peak = max(peak, sum(one.memory_info().rss for one in family) / 1e6)
            except psutil.Error:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    said, _ = process.communicate(timeout=900)
    done.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(said)
    return time.perf_counter() - begun, peak, said


def main() -> None:
    """Run and print a table."""
    floor, _, _ = timed([sys.executable, "-c", IMPORT])
    print(f"importing the libraries alone: {floor:.1f} s")
    for people in [int(text) for text in sys.argv[1:]] or [0, 300]:
        scale = ["--people", str(people)] if people else []
        with tempfile.TemporaryDirectory() as folder:
            arguments = [
                sys.executable,
                "-c",
                RUN,
                "demo",
                "-o",
                str(Path(folder) / "demo"),
                *scale,
            ]
            seconds, memory, said = timed(arguments)
        stages = [line for line in said.splitlines() if line.endswith(" s")]
        print(f"\n{people or 'all'} people: {seconds:.1f} s, {memory:.0f} MB at most")
        print("\n".join(stages))


if __name__ == "__main__":
    main()
