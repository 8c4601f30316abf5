"""How a request proves who sends it; secrets come from the environment alone and are never shown.

`Token` is KoboToolbox's, `Bearer` ODK Central's: a token as it stands, or a session opened with
e-mail and password, opened again when the server has forgotten it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Bearer", "Credentials", "Token"]


class Credentials(Protocol):
    """What `Connection` puts into the Authorization header."""

    def header(self) -> str:
        """The header's value; `""` for none."""
        ...

    def renew(self, refused: str) -> bool:
        """Called when the server refused the header `refused`: whether another attempt may pass."""
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """A KoboToolbox token; https://support.kobotoolbox.org/api.html."""

    token: str = ""

    def header(self) -> str:
        return f"Token {self.token}" if self.token else ""

    def renew(self, refused: str) -> bool:
        return False


@dataclass(slots=True)
class Bearer:
    """An ODK Central session; `sign_in` opens one and gives its token, None when a token was given.

    https://docs.getodk.org/central-api-authentication/
    """

    token: str = ""
    sign_in: Callable[[], str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def header(self) -> str:
        with self._lock:
            if not self.token and self.sign_in:
                self.token = self.sign_in()
            return f"Bearer {self.token}" if self.token else ""

    def renew(self, refused: str) -> bool:
        with self._lock:
            if self.sign_in is None:
                return False
            # Another thread may have signed in again meanwhile.
            if refused == f"Bearer {self.token}":
                self.token = self.sign_in()
            return True
