"""Commands of the embedded form server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from forms.console import out
from forms.place import DataOption, FolderOption, place_of
from forms.problems import Problem

__all__ = ["app", "started"]

app = typer.Typer()

STOP = 20.0


@app.command()
def serve(
    ctx: typer.Context,
    folder: FolderOption = None,
    data: DataOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
) -> None:
    """Run the embedded form server until Ctrl-C; phones and `watphon pull` speak to it.

    At the first start it makes the account `admin` and prints its token once.
    """
    from server.app import run  # loads the web stack

    run(place_of(ctx, folder, data).data, host=host, port=port, on_ready=announce)


@app.command()
def key(
    ctx: typer.Context,
    label: Annotated[str, typer.Argument(help="Whose phone it is, for example “Lamphun 3”.")] = "",
    folder: FolderOption = None,
    data: DataOption = None,
    revoke: Annotated[int | None, typer.Option(help="Make key number N worthless.")] = None,
) -> None:
    """Give a phone its key, take one back (--revoke), or list the keys (no label)."""
    from server.people import accounts
    from server.state.store import open_store
    from server.times import utc_now

    store = open_store(place_of(ctx, folder, data).data)
    try:
        with store.write() as connection:
            if revoke is not None:
                accounts.revoke_key(connection, revoke, now=utc_now())
                out.print(f"key {revoke} is worthless now")
            elif label:
                number, secret = accounts.mint_key(connection, label, now=utc_now())
                out.print(f"key {number} for {label}; the phone's server address, shown this once:")
                out.print(f"  SERVER/key/{secret}", markup=False)
            else:
                for known in accounts.list_keys(connection):
                    state = "revoked" if known.revoked_at else "in use"
                    out.print(f"{known.id:>5}  {state:<8} {known.label}", markup=False)
    finally:
        store.close()


@app.command()
def user(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the account.")] = "",
    folder: FolderOption = None,
    data: DataOption = None,
    password: Annotated[bool, typer.Option("--password", help="Ask for a password too.")] = False,
) -> None:
    """Make an account and print its token once, or list the accounts (no name)."""
    from server.people import accounts
    from server.state.store import open_store
    from server.times import utc_now

    secret = typer.prompt("password", hide_input=True, confirmation_prompt=True) if password else ""
    store = open_store(place_of(ctx, folder, data).data)
    try:
        with store.write() as connection:
            if not name:
                for known in accounts.list_users(connection):
                    out.print(f"{known.name:<24} {known.role}", markup=False)
                return
            accounts.add_user(connection, name, password=secret, now=utc_now())
            token = accounts.mint_token(connection, name, now=utc_now())
            out.print(f"token of the account {name}, shown this once:")
            out.print(f"  {token}", markup=False)
    finally:
        store.close()


def announce(url: str, first_token: str | None) -> None:
    """Say where the server is, and its token at the very first start."""
    out.print(f"serving at {url}  (Ctrl-C stops it)")
    if first_token:
        out.print("token of the account admin, shown this once; keep it as a password:")
        out.print(f"  export WATPHON_TOKEN={first_token}")


@contextmanager
def started(data: Path) -> Iterator[tuple[str, str]]:
    """A server of its own process over a fresh data folder: URL and first token; stopped at the end.

    Raises `Problem` with the server's words when it does not come up.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "--data", str(data), "--port", "0"],
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
