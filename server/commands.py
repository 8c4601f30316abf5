"""Commands of the embedded form server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

import server.commands_people
import server.commands_state
from forms.console import out
from forms.place import DataOption, FolderOption, place_of
from forms.problems import Problem
from server.commands_state import DatabaseOption, StorageOption

__all__ = ["app", "started"]

app = typer.Typer()
app.add_typer(server.commands_people.app)
app.add_typer(server.commands_state.app)

STOP = 20.0


@app.command()
def serve(
    ctx: typer.Context,
    folder: FolderOption = None,
    data: DataOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    behind_proxy: Annotated[
        str,
        typer.Option(
            metavar="ADDRESSES",
            help="Proxies in front, whose X-Forwarded-For and -Proto are believed: 127.0.0.1",
        ),
    ] = "",
    public_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The address phones use, for codes to scan: https://survey.example.org; "
            "also WATPHON_URL_PUBLIC.  [default: as the browser has it]",
        ),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Option(help="Least weight of the JSON lines on stderr."),
    ] = "info",
    access_log: Annotated[
        bool, typer.Option("--access-log", help="A line for each request too; never whose data.")
    ] = False,
    database: DatabaseOption = None,
    storage: StorageOption = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that serve; about one per core.")
    ] = 1,
) -> None:
    """Run the embedded form server until Ctrl-C; phones and `watphon pull` speak to it.

    At the first start it makes the account `admin` and prints its token once. Where the data are
    (--database, --storage) is remembered for the next start and for the other commands.
    """
    from server.process import run  # loads the web stack
    from server.watch import log

    log.begin(log_level, access_log=access_log)
    place = place_of(ctx, folder, data)
    run(
        place.data,
        host=host,
        port=port,
        on_ready=announce,
        behind_proxy=behind_proxy,
        public_url=public_url,
        programme=place.programme() if (place.folder / "programme.toml").is_file() else None,
        database=database,
        storage=storage,
        workers=workers,
    )


def announce(url: str, first_token: str | None) -> None:
    """Say where the server is, and its token at the very first start."""
    out.print(f"serving at {url}  (Ctrl-C stops it)")
    if first_token:
        out.print("token of the account admin, shown this once; keep it as a password:")
        out.print(f"  export WATPHON_TOKEN={first_token}")
        out.print("to sign in on its pages, give it a password:  watphon user password admin")


@contextmanager
def started(data: Path) -> Iterator[tuple[str, str]]:
    """A server of its own process over a fresh data folder: URL and first token; stopped at the end.

    Raises `Problem` with the server's words when it does not come up.
    """
    command = [sys.executable, "-m", "server", "--data", str(data), "--port", "0"]
    # whatever the environment names for the real server is no place for this one's data
    command += ["--database", "sqlite", "--storage", "folder"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: dict[str, str] = {}
    try:
        assert process.stdout is not None
        for line in process.stdout:
            word, _, value = line.strip().partition(" ")
            said[word] = value
            if word == "ready":
                break
        if "ready" not in said or "token" not in said:
            process.terminate()
            _, words = process.communicate(timeout=STOP)
            raise Problem.at(
                str(data),
                words.strip() or "the server did not start, or the folder is not fresh",
                "name another data folder",
            )
        yield said["ready"], said["token"]
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.communicate(timeout=STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
