"""watphon: from XLSForms to an evaluation report, on ODK/KoboToolbox data.

This file assembles the commands of the folders, holds the demonstration, and is the one place where an
error becomes words and an exit code: 0 fine, 1 findings or failure, 2 usage.
"""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeVar

# While libraries load there is nothing to stop half-way: Ctrl-C then ends the program without a word.
patience = signal.getsignal(signal.SIGINT)
if patience is signal.default_int_handler:
    signal.signal(signal.SIGINT, lambda *_: os._exit(1))

import typer
from rich.markup import escape
from typer.exceptions import Abort, TyperException

import analysis.commands
import forms.commands
import reports.commands
import server.commands
import sync.commands
import sync.commands_simulate
from forms.console import err, out
from forms.place import DataOption, FolderOption, Place
from forms.problems import Finding, Problem, UsageProblem
from forms.programme import shipped
from forms.simulate import plan_season
from sync.kobo import Kobo

if patience is signal.default_int_handler:
    signal.signal(signal.SIGINT, patience)

__all__ = ["app", "main"]

app = typer.Typer(
    help="Surveys, monitoring and evaluation on ODK/KoboToolbox data: วัดผล, to measure results.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for part in (forms.commands, server.commands, sync.commands, analysis.commands, reports.commands):
    app.add_typer(part.app)


@app.callback(invoke_without_command=True)
def options(
    ctx: typer.Context,
    folder: FolderOption = None,
    data: DataOption = None,
    show_version: Annotated[
        bool, typer.Option("--version", help="Say the version and stop.")
    ] = False,
) -> None:
    """A programme is a folder; `watphon new` makes one, `watphon demo` shows everything."""
    if show_version:
        out.print(f"watphon {version('watphon')}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        out.print(ctx.get_help(), markup=False)
        raise typer.Exit(2)


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to make.")
    ] = Path("demo"),
    people: Annotated[
        int | None, typer.Option(min=1, help="Scale people and courses down to about so many.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same season.")] = 2564,
) -> None:
    """Run the whole programme on invented people: forms, server, season, pull, evaluation, report."""
    seconds: dict[str, float] = {}
    place = Place(output, output / "data")
    step = steps(seconds)
    step("new", f"new {output}", lambda: fresh(output))
    programme = place.programme()
    plan_season(programme, people)  # says now, not after publishing, that so many are not there
    with serving(place, seconds) as backend:
        step(
            "publish",
            "publish",
            lambda: sync.commands.publish_programme(programme, backend, place.published),
        )
        scale = f" --people {people}" if people else ""
        step(
            "simulate",
            f"simulate --seed {seed}{scale}",
            lambda: sync.commands_simulate.simulate_season(
                programme, backend, place, seed=seed, people=people
            ),
        )
        results = step("pull", "pull", lambda: sync.commands.pull_data(programme, backend, place))
    if open_forms := [result.form_id for result in results if not result.complete]:
        raise Problem.at(", ".join(open_forms), "the local copy is not complete", "run it again")
    april = date(programme.fiscal_year_be - 543, 4, 19)
    evaluations = step(
        "evaluate",
        f"evaluate; evaluate --as-of {april}",
        lambda: [analysis.commands.evaluate_season(programme, place, day) for day in (None, april)],
    )
    paths = step(
        "report",
        f"report; report --as-of {april}",
        lambda: [
            path for day in (None, april) for path in reports.commands.write_reports(place, day)
        ],
    )
    out.print()
    for language in programme.languages:
        reports.commands.say(reports.commands.read(place.evaluation()), language)
        out.print()
    for path in [*evaluations, *paths]:
        out.print(f"  {path}", markup=False)
    out.print()
    for name, took in seconds.items():
        out.print(f"  {name:<10} {took:6.1f} s")
    out.print(f"  {'all':<10} {sum(seconds.values()):6.1f} s")


Result = TypeVar("Result")
STOPPED = 130
"""What typer makes of Ctrl-C."""


def steps(seconds: dict[str, float]) -> Callable[[str, str, Callable[[], Any]], Any]:
    """Run a step of the demonstration under the command a user would type, and time it."""

    def step(name: str, command: str, work: Callable[[], Result]) -> Result:
        out.print(f"$ watphon {command}", markup=False)
        begun = time.perf_counter()
        result = work()
        seconds[name] = time.perf_counter() - begun
        return result

    return step


def fresh(folder: Path) -> None:
    """Make the demonstration's folder; one that an earlier demonstration made is begun anew."""
    mark = folder / ".watphon-demo"
    if folder.exists() and any(folder.iterdir()):
        if not mark.is_file():
            raise UsageProblem.at(
                str(folder),
                "is already there and was not made by `watphon demo`",
                "name another folder with -o",
            )
        remove(folder)
    forms.commands.copy_programme(folder, shipped())
    mark.write_text("made by watphon demo; made anew by the next one\n", "utf-8")


def remove(folder: Path) -> None:
    """Delete a folder of an earlier demonstration."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


@contextmanager
def serving(place: Place, seconds: dict[str, float]) -> Iterator[Kobo]:
    """The embedded server as a process of its own on a free loopback port, until the block ends."""
    out.print("$ watphon serve --port 0", markup=False)
    begun = time.perf_counter()
    with server.commands.started(place.data) as (url, token):
        seconds["serve"] = time.perf_counter() - begun
        out.print(f"  {url}")
        yield Kobo(url, token)


def show(findings: tuple[Finding, ...]) -> None:
    """Findings on standard error, the errors last, where the eye is."""
    for finding in sorted(findings, key=lambda one: one.severity == "error"):
        colour = {"error": "red", "warning": "yellow"}.get(finding.severity, "default")
        err.print(
            f"[{colour}]{finding.severity}[/]: {escape(finding.where)}: {escape(finding.what)}"
            + (f"\n       → {escape(finding.remedy)}" if finding.remedy else "")
        )


def main(arguments: list[str] | None = None) -> int:
    """Run a command; gives the exit code and never lets a traceback out.

    With WATPHON_TRACEBACK set, an unforeseen error is raised as it is.
    """
    try:
        code = app(args=arguments, standalone_mode=False)
        if code == STOPPED:
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except Problem as problem:
        show(problem.findings)
        return 2 if isinstance(problem, UsageProblem) else 1
    except TyperException as error:
        show((Finding("usage", "error", "watphon", error.format_message(), "see watphon --help"),))
        return 2
    except (Abort, KeyboardInterrupt):
        err.print("stopped; the same command goes on from here")
        return 1
    except BrokenPipeError:
        with suppress(OSError):
            sys.stdout = None
        return 1
    except (OSError, sqlite3.OperationalError) as error:
        if os.environ.get("WATPHON_TRACEBACK"):
            raise
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        show(
            (
                Finding(
                    "storage",
                    "error",
                    str(getattr(error, "filename", None) or "this computer"),
                    "the disk is full" if full or "full" in str(error) else str(error),
                    "free space and run the same command again",
                ),
            )
        )
        return 1
    except Exception as error:
        if os.environ.get("WATPHON_TRACEBACK"):
            raise
        show(
            (
                Finding(
                    "unforeseen",
                    "error",
                    type(error).__name__,
                    str(error) or "no further words",
                    "this is a fault of watphon: run it again with WATPHON_TRACEBACK=1 and report "
                    "what it prints",
                ),
            )
        )
        return 1


def run() -> None:
    """The `watphon` program."""
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the work is done; only the farewell is left
    sys.exit(code)
