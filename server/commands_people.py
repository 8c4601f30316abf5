"""Commands for people: accounts, the keys of phones and walls, the audit trail.

They work on the data folder itself, whether the server runs or not; each change counts at once.
"""

from __future__ import annotations

import csv
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from forms.console import out
from forms.csvtable import harmless
from forms.place import DataOption, FolderOption, place_of
from server.commands_user import noted, user, writing

__all__ = ["app"]

app = typer.Typer()
app.add_typer(user, name="user", invoke_without_command=True)


@app.command()
def key(
    ctx: typer.Context,
    label: Annotated[str, typer.Argument(help="Whose phone it is, for example “Lamphun 3”.")] = "",
    folder: FolderOption = None,
    data: DataOption = None,
    revoke: Annotated[int | None, typer.Option(help="Make key number N worthless.")] = None,
    change: Annotated[
        int | None, typer.Option(help="Let key number N end after --expires, or never.")
    ] = None,
    form: Annotated[
        list[str] | None,
        typer.Option("--form", metavar="FORM_ID", help="Only this form; may be repeated."),
    ] = None,
    province: Annotated[
        list[str] | None,
        typer.Option("--province", metavar="NN", help="Only this province; may be repeated."),
    ] = None,
    expires: Annotated[
        int | None, typer.Option(min=1, max=3660, metavar="DAYS", help="Worthless after so long.")
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="For a poster or a link that many hold: sends only.")
    ] = False,
    server: Annotated[
        str,
        typer.Option(
            envvar="WATPHON_URL_PUBLIC",
            metavar="URL",
            help="The address phones reach the server at; then a code to scan is shown.",
        ),
    ] = "",
    png: Annotated[
        Path | None,
        typer.Option("--png", metavar="FILE", help="Write the code to scan there; needs --server."),
    ] = None,
) -> None:
    """Give a phone its key, take one back (--revoke), change its last day, or list the keys."""
    from server.people import keys
    from server.phones.collect import scanned
    from server.public import public_address
    from server.times import utc_now

    base = public_address(server)
    if png is not None and not (base and label):
        raise typer.BadParameter("--png needs a label, and --server to say which address", ctx)

    now = utc_now()
    until = now + timedelta(days=expires) if expires else None
    with writing(ctx, folder, data) as connection:
        if revoke is not None:
            keys.revoke_key(connection, revoke, now=now)
            noted(connection, "KEY_REVOKED", f"key {revoke}", now)
            out.print(f"key {revoke} is worthless now")
        elif change is not None:
            keys.expire_key(connection, change, at=until)
            noted(connection, "KEY_CHANGED", f"key {change}", now)
            out.print(f"key {change} ends {f'on {until:%Y-%m-%d}' if until else 'never'}")
        elif label:
            number, secret = keys.mint_key(
                connection,
                label,
                now=now,
                kind="link" if link else "phone",
                forms=form or (),
                provinces=province or (),
                expires_at=until,
            )
            noted(connection, "KEY_MADE", f"key {number}", now)
            whose = "the address for the poster or link" if link else "the phone's server address"
            out.print(f"key {number} for {label}; {whose}, shown this once:")
            out.print(f"  {base or 'SERVER'}/key/{secret}", markup=False, soft_wrap=True)
            if base:
                address = f"{base}/key/{secret}"
                show_code(address if link else scanned(address, label), png)
        else:
            for known in keys.list_keys(connection):
                state = "revoked" if known.revoked_at else "in use"
                if known.expired(now) and not known.revoked_at:
                    state = "expired"
                bounds = " ".join((*known.forms, *known.provinces))
                until = f" until {known.expires_at[:10]}" if known.expires_at else ""
                more = f"  [{known.kind}{until}{' ' + bounds if bounds else ''}]"
                out.print(f"{known.id:>5}  {state:<8} {known.label}{more}", markup=False)


def show_code(content: str, png: Path | None) -> None:
    """A code as a picture in a file, or drawn on a terminal."""
    from server.phones import qr

    if png is not None:
        # whoever reads the picture holds the key
        png.touch(mode=0o600)
        png.write_bytes(qr.png(content))
        out.print(f"the code to scan is in {png}", markup=False)
    elif sys.stdout.isatty():
        sys.stdout.write(qr.text(content))


@app.command()
def badges(
    ctx: typer.Context,
    province: Annotated[str, typer.Option("--province", metavar="NN", help="Two digits, as 50.")],
    count: Annotated[int, typer.Option(min=1, max=500, help="How many badges.")] = 70,
    lang: Annotated[str, typer.Option(help="th or en.")] = "th",
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Where the sheets go: an .html.")
    ] = None,
    folder: FolderOption = None,
    data: DataOption = None,
) -> None:
    """Make badges with participant codes, as sheets to print on A4 from a browser.

    Codes are given out once: the next run goes on where this one ends.
    """
    from server.people.audit import COMMAND_LINE
    from server.phones.badges import badges_of, numbers, sheet

    programme = place_of(ctx, folder, data).programme()
    with writing(ctx, folder, data) as connection:
        given = numbers(connection, programme, province, count, who=COMMAND_LINE)
    path = to or Path(f"badges-{province}-{given.start:05}.html")
    path.write_text(sheet(programme, badges_of(programme, province, given), lang), "utf-8")
    out.print(f"{count} badges: {path}", markup=False)


@app.command("audit")
def print_audit(
    ctx: typer.Context,
    who: Annotated[str, typer.Option(help="Only what this account did.")] = "",
    action: Annotated[str, typer.Option(help="Only this action, as the trail words it.")] = "",
    folder: FolderOption = None,
    data: DataOption = None,
) -> None:
    """Print the audit trail as CSV, oldest first: at (UTC), who, action, what."""
    from server.people.audit import entries

    with writing(ctx, folder, data) as connection:
        lines = entries(connection, who=who, action=action, oldest_first=True)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("at", "who", "action", "what"))
    for line in lines:
        writer.writerow([harmless(cell) for cell in (line.at, line.who, line.action, line.what)])
