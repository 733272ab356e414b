"""Reading a verifier's description, key by key, with errors that name the exact place.

`close()` refuses what nobody asked for, so a misspelt key is an error and not a silent default.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, get_args

from hub.core.errors import FieldError, Invalid
from hub.core.headers import is_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.sources.verifiers.contract import Certificates

_MAX_HEADER_CHARACTERS = 100
_PATH = re.compile(r"[^.\s]{1,64}(\.[^.\s]{1,64}){0,9}")
#: A week: longer would keep a captured request useful for too long.
MAX_TOLERANCE = 7 * 86_400
_T = TypeVar("_T", bound=str)


class Options:
    """The keys of one description.

    Args:
        values: the description.
        field: where it is in the caller's input, for errors.
        certificates: for the profiles whose check fetches certificates.
    """

    def __init__(
        self, values: Mapping[str, Any], field: str, certificates: Certificates | None = None
    ) -> None:
        self.certificates = certificates
        self._values = values
        self._field = field
        self._seen = {"profile"}

    def fail(self, name: str, message: str) -> NoReturn:
        """Refuse the value of one key.

        Raises:
            Invalid: always.
        """
        path = f"{self._field}.{name}" if name else self._field
        raise Invalid(f"{path} {message}.", fields=(FieldError(path, message),))

    def text(self, name: str, *, limit: int = 200) -> str | None:
        """Text of 1 to `limit` characters that can be printed, or None when the key is absent."""
        self._seen.add(name)
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not 1 <= len(value) <= limit or not value.isprintable():
            self.fail(name, f"must be text of 1 to {limit} printable characters")
        return value

    def choice(self, name: str, choices: Any, default: _T) -> _T:
        """One of the words of a `Literal`, or the default."""
        value = self.text(name)
        allowed: tuple[_T, ...] = get_args(choices)
        for known in allowed:
            if value == known:
                return known
        if value is not None:
            self.fail(name, "must be " + " or ".join(f"`{word}`" for word in allowed))
        return default

    def header(self, name: str) -> str | None:
        """A header's name, in lower case."""
        value = self.text(name)
        if value is not None and (len(value) > _MAX_HEADER_CHARACTERS or not is_token(value)):
            self.fail(name, "must be the name of a header, such as `X-Signature`")
        return value.lower() if value is not None else None

    def path(self, name: str) -> str | None:
        """A place in the JSON body: dotted words, at most ten."""
        value = self.text(name)
        if value is not None and _PATH.fullmatch(value) is None:
            self.fail(
                name, "must be a place in the body such as `data.id` or `0.type`, at most ten words deep"
            )
        return value

    def tolerance(self, default: int) -> int:
        """`tolerance_seconds`, from one second to a week."""
        name = "tolerance_seconds"
        self._seen.add(name)
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_TOLERANCE:
            self.fail(name, f"must be a whole number of seconds from 1 to {MAX_TOLERANCE}")
        return value

    def close(self) -> None:
        """Refuse keys that were not asked for.

        Raises:
            Invalid: there is one.
        """
        for name in self._values:
            if name not in self._seen:
                known = ", ".join(f"`{key}`" for key in sorted(self._seen))
                self.fail(str(name)[:100], f"is not known for this profile, which has {known}")
