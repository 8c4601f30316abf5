"""One server per data folder: a lock that the operating system takes back whatever happens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from forms.problems import Problem

__all__ = ["hold", "release"]


def hold(folder: Path) -> BinaryIO:
    """Lock the folder until the returned file is closed or the process ends, even by SIGKILL.

    Raises `Problem` when another server holds it.
    """
    file = (folder / "lock").open("ab")
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise Problem.at(
            str(folder),
            "another watphon server is running on this data folder",
            "use that one, or stop it first",
            code="server_running",
        ) from error
    return file


def release(file: BinaryIO) -> None:
    """Give the folder free."""
    file.close()
