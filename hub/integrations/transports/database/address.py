"""Where a database is and who logs in there: fields, never a data source name of the user's making."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from hub.core.secret import Secret


@dataclass(frozen=True, slots=True)
class Address:
    """A database.

    Args:
        scheme: `postgresql` or `mysql`.
        host: DNS name or IP address, without brackets.
        port: TCP port.
        database: its name.
    """

    scheme: str
    host: str
    port: int
    database: str


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in.

    Args:
        username: the role.
        password: None for a login by client certificate.
    """

    username: str
    password: Secret | None


def parse(base_url: str, ports: dict[str, int]) -> Address:
    """Read a checked `base_url`.

    Raises:
        ValueError: it names no database, or more than one; the text follows `base_url`.
    """
    parts = urlsplit(base_url)
    database = unquote(parts.path.removeprefix("/"))
    if not database or "/" in database:
        raise ValueError("must end with the name of one database, such as postgresql://host:5432/sales")
    if len(database) > 128 or not database.isprintable():
        raise ValueError("names a database that cannot exist")
    return Address(parts.scheme, parts.hostname or "", parts.port or ports[parts.scheme], database)
