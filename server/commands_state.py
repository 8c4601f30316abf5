"""Commands for the server's state as a whole: `watphon backup` and `watphon restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forms.console import err, out, stage
from forms.place import DataOption, FolderOption, place_of

if TYPE_CHECKING:
    from server.state.archive import Seen

__all__ = ["DatabaseOption", "StorageOption", "app"]

app = typer.Typer()

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="postgresql://USER@HOST/NAME (password in PGPASSWORD); also WATPHON_DATABASE.  "
        "[default: as before, else in the data folder]",
    ),
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="s3://BUCKET/PREFIX for photographs (keys in AWS_…); also WATPHON_STORAGE.  "
        "[default: as before, else in the data folder]",
    ),
]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE.tar", help="The backup.")]


@app.command()
def backup(
    ctx: typer.Context,
    file: FileArgument,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read a backup to its end and check every hash.")
    ] = False,
    folder: FolderOption = None,
    data: DataOption = None,
    database: DatabaseOption = None,
    storage: StorageOption = None,
) -> None:
    """Write all that the server keeps into one file, while it runs; or check such a file."""
    if verify:
        from server.state.archive import walk

        with stage("verify") as progress:
            seen = walk(file, progress=progress)
        out.print(f"{file} is whole", markup=False)
        tell(seen)
        return
    from server.state.backup import back_up
    from server.state.storage import storage_of
    from server.state.store import open_store

    store = open_store(place_of(ctx, folder, data).data, database)
    try:
        blobs = storage_of(store, storage)
        blobs.make_folders()
        with stage("backup") as progress:
            seen = back_up(store, blobs, file, progress)
    finally:
        store.close()
    out.print(f"{file} is written", markup=False)
    tell(seen)
    if seen.missing:
        raise typer.Exit(1)


@app.command()
def restore(
    ctx: typer.Context,
    file: FileArgument,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also where something is kept already.")
    ] = False,
    folder: FolderOption = None,
    data: DataOption = None,
    database: DatabaseOption = None,
    storage: StorageOption = None,
) -> None:
    """Put a backup back into an empty data folder or database; stop the server first.

    A backup of one kind of database can be restored into the other. What --replace takes out of a data
    folder is kept beside it.
    """
    from server.state import restore as restoring

    with stage("restore") as progress:
        seen = restoring.restore(
            file,
            place_of(ctx, folder, data).data,
            database=database,
            storage=storage,
            replace=replace,
            progress=progress,
        )
    out.print(f"{file} is restored", markup=False)
    tell(seen)


def tell(seen: Seen) -> None:
    """What a backup holds."""
    out.print(f"  made at {seen.made_at}")
    rows = seen.rows
    out.print(f"  {rows.get('assets', 0):,} forms, {rows.get('submissions', 0):,} submissions")
    out.print(f"  {seen.contents:,} files, {seen.bytes / 1e6:,.1f} MB")
    for digest in seen.missing:
        err.print(f"  a file is lost or damaged on the server: {digest}")
