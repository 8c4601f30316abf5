"""`watphon user`: accounts of people and programs.

The commands work on the data folder itself, whether the server runs or not; each change counts at
once and is a line of the audit trail.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from forms.console import err, out
from forms.place import DataOption, FolderOption, place_of

__all__ = ["noted", "user", "writing"]

user = typer.Typer(help="Accounts of people and programs: list, add, change, remove.")

NameArgument = Annotated[str, typer.Argument(help="Name of the account.")]
ProvinceOption = Annotated[
    list[str] | None,
    typer.Option("--province", metavar="NN", help="A province of the account; may be repeated."),
]
RoleOption = Annotated[
    str, typer.Option(help="admin, province, facilitator, evaluator or manager.")
]


@contextmanager
def writing(ctx: typer.Context, folder: Path | None, data: Path | None) -> Iterator[Any]:
    """One transaction on the server's state."""
    from server.state.store import open_store  # loads the database

    store = open_store(place_of(ctx, folder, data).data)
    try:
        with store.write() as connection:
            yield connection
    finally:
        store.close()


def noted(connection: Any, action: str, what: str, now: datetime) -> None:
    """A line of the audit trail: done on the server's machine."""
    from server.people.audit import COMMAND_LINE, Action, log

    log(connection, who=COMMAND_LINE, action=Action[action], what=what, now=now)


def asked_password() -> str:
    """A password typed twice; the first line where another program gives it."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return typer.prompt("password", hide_input=True, confirmation_prompt=True, err=True)


@user.callback()
def users(ctx: typer.Context, folder: FolderOption = None, data: DataOption = None) -> None:
    """Accounts of people and programs; without a sub-command, list them."""
    if ctx.invoked_subcommand is None:
        list_users(ctx, folder, data)


@user.command("list")
def list_users(ctx: typer.Context, folder: FolderOption = None, data: DataOption = None) -> None:
    """List the accounts: name, role, provinces, tokens, and whether one is disabled."""
    from server.people import accounts

    with writing(ctx, folder, data) as connection:
        tokens = accounts.count_tokens(connection)
        for known in accounts.list_users(connection):
            ways = ["password"] if known.password else []
            if count := tokens.get(known.id):
                ways.append(f"{count} token{'s' if count > 1 else ''}")
            state = "disabled" if known.disabled_at else ", ".join(ways) or "no way in yet"
            where = " ".join(known.provinces) or "-"
            out.print(f"{known.name:<24} {known.role:<12} {where:<12} {state}", markup=False)


@user.command()
def add(
    ctx: typer.Context,
    name: NameArgument,
    role: RoleOption = "facilitator",
    province: ProvinceOption = None,
    password: Annotated[bool, typer.Option("--password", help="Ask for the password.")] = False,
    token: Annotated[bool, typer.Option("--token", help="Make a token, for programs.")] = False,
    folder: FolderOption = None,
    data: DataOption = None,
) -> None:
    """Make an account. Without --password or --token it gets a one-time password, shown once."""
    from server.people import accounts, passwords
    from server.times import utc_now

    chosen = asked_password() if password else "" if token else passwords.fresh()
    now = utc_now()
    with writing(ctx, folder, data) as connection:
        account = accounts.add_user(
            connection, name, now=now, role=role, provinces=province or (), password=chosen
        )
        what = " ".join((f"{account.name}:", role, *account.provinces))
        noted(connection, "USER_ADDED", what, now)
        if token:
            secret = accounts.mint_token(connection, name, now=now)
            noted(connection, "TOKEN_MADE", account.name, now)
            out.print(f"token of the account {name}, shown this once:")
            out.print(f"  {secret}", markup=False)
        elif not password:
            tell_password(name, chosen)


def tell_password(name: str, password: str) -> None:
    """Say a new password, this once."""
    out.print(f"password of the account {name}, shown this once; to be changed at /password:")
    out.print(f"  {password}", markup=False)


@user.command("password")
def set_password(
    ctx: typer.Context,
    name: NameArgument,
    new: Annotated[
        bool, typer.Option("--new", help="Make one and print it, instead of asking.")
    ] = False,
    end_tokens: Annotated[
        bool, typer.Option("--end-tokens", help="Make the account's tokens worthless too.")
    ] = False,
    folder: FolderOption = None,
    data: DataOption = None,
) -> None:
    """Give an account a password; it is signed out everywhere, and waits after failures end.

    Its tokens work on, unless --end-tokens is said.
    """
    from server.people import accounts, passwords
    from server.times import utc_now

    chosen = passwords.fresh() if new else asked_password()
    now = utc_now()
    with writing(ctx, folder, data) as connection:
        left = accounts.set_password(connection, name, chosen, end_tokens=end_tokens)
        noted(connection, "PASSWORD_CHANGED", name, now)
        if end_tokens:
            noted(connection, "TOKENS_REVOKED", name, now)
    if new:
        tell_password(name, chosen)
    else:
        out.print(f"{name} has the new password")
    if left:
        works = "1 token works" if left == 1 else f"{left} tokens work"
        err.print(f"{works} still; end {'it' if left == 1 else 'them'} with --end-tokens, or:")
        err.print(f"  watphon user tokens {name} --revoke", markup=False)


@user.command("role")
def set_role(
    ctx: typer.Context,
    name: NameArgument,
    role: Annotated[
        str, typer.Argument(help="admin, province, facilitator, evaluator or manager.")
    ],
    province: ProvinceOption = None,
    folder: FolderOption = None,
    data: DataOption = None,
) -> None:
    """Give an account another role and other provinces."""
    from server.people import accounts

    change(
        ctx, folder, data, " ".join((f"{name}:", role, *(province or ()))), "USER_CHANGED",
        lambda connection, now: accounts.change_role(connection, name, role, province or ()),
    )  # fmt: skip
    out.print(f"{name} is {role} now{': ' + ' '.join(province) if province else ''}")


@user.command()
def disable(
    ctx: typer.Context, name: NameArgument, folder: FolderOption = None, data: DataOption = None
) -> None:
    """Let an account in no more: password, tokens and sessions count for nothing."""
    from server.people import accounts

    change(
        ctx, folder, data, name, "USER_DISABLED",
        lambda connection, now: accounts.disable_user(connection, name, now=now),
    )  # fmt: skip
    out.print(f"{name} is disabled")


@user.command()
def enable(
    ctx: typer.Context, name: NameArgument, folder: FolderOption = None, data: DataOption = None
) -> None:
    """Let a disabled account in again."""
    from server.people import accounts

    change(
        ctx, folder, data, name, "USER_ENABLED",
        lambda connection, now: accounts.enable_user(connection, name),
    )  # fmt: skip
    out.print(f"{name} may come in again")


@user.command()
def remove(
    ctx: typer.Context, name: NameArgument, folder: FolderOption = None, data: DataOption = None
) -> None:
    """Remove an account with its tokens; what it did stays in the audit trail."""
    from server.people import accounts

    change(
        ctx, folder, data, name, "USER_REMOVED",
        lambda connection, now: accounts.remove_user(connection, name),
    )  # fmt: skip
    out.print(f"{name} is removed")


@user.command()
def tokens(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the account; none lists all.")] = "",
    new: Annotated[bool, typer.Option("--new", help="Make one and print it.")] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Make all of them worthless.")] = False,
    folder: FolderOption = None,
    data: DataOption = None,
) -> None:
    """Say who has tokens; make one (--new), or revoke all of an account (--revoke)."""
    from server.people import accounts
    from server.times import utc_now

    if (new or revoke) and not name:
        raise typer.BadParameter("name the account", ctx)
    now = utc_now()
    with writing(ctx, folder, data) as connection:
        if revoke:
            gone = accounts.revoke_tokens(connection, name)
            noted(connection, "TOKENS_REVOKED", name, now)
            out.print(f"{gone} token{'' if gone == 1 else 's'} of {name} are worthless now")
        if new:
            secret = accounts.mint_token(connection, name, now=now)
            noted(connection, "TOKEN_MADE", name, now)
            out.print(f"token of the account {name}, shown this once:")
            out.print(f"  {secret}", markup=False)
        if not (new or revoke):
            counts = accounts.count_tokens(connection)
            known = [accounts.known_account(connection, name)] if name else None
            for account in known or accounts.list_users(connection):
                out.print(f"{account.name:<24} {counts.get(account.id, 0)}", markup=False)


@user.command("import")
def bring_in(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PEOPLE.CSV", help="name,role,provinces")],
    folder: FolderOption = None,
    data: DataOption = None,
) -> None:
    """Make and update accounts from a CSV, as often as it is run; says what it did.

    Only accounts that are new get a password, printed this once. Accounts that the file does not
    name are left alone.
    """
    from server.people import accounts, roster
    from server.times import utc_now

    people = roster.read_people(path)
    with writing(ctx, folder, data) as connection:
        known = {account.name for account in accounts.list_users(connection)}
    passwords = roster.one_time(people, known)
    with writing(ctx, folder, data) as connection:
        done = roster.bring_in(connection, people, passwords, now=utc_now())
    for one in done:
        person = one.person
        where = " ".join(person.codes) or "-"
        line = f"{person.name:<24} {person.role:<12} {where:<12} {one.what:<10} {one.password}"
        out.print(line.rstrip(), markup=False)
    said = [f"{sum(one.what == w for one in done)} {w}" for w in ("made", "changed", "as it was")]
    err.print(", ".join(said))


def change(
    ctx: typer.Context,
    folder: Path | None,
    data: Path | None,
    what: str,
    action: str,
    work: Callable[[Any, datetime], Any],
) -> None:
    """One change of an account and its line of the audit trail, in one transaction."""
    from server.times import utc_now

    now = utc_now()
    with writing(ctx, folder, data) as connection:
        work(connection, now)
        noted(connection, action, what, now)
