"""One SQL statement as a person wrote it: is it one, may it run here, and where do its parameters stand?

This reading is for good errors at save time; the guarantees are the server's: both protocols carry one statement and
its values apart from it, and `read` is a read-only transaction. Promises: a parameter is never looked for inside a
string, a quoted name or a comment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Dialect = Literal["postgresql", "mysql"]

READ_VERBS = frozenset({"select", "with", "values", "table", "show", "explain", "describe", "desc"})
WRITE_VERBS = READ_VERBS | {"insert", "update", "delete", "merge", "replace", "call", "refresh", "truncate"}

# What stands between the tokens that matter: strings, quoted names, comments. PostgreSQL 18, 4.1 (Lexical
# Structure); MySQL 8.4, 11 (Language Structure).
_POSTGRESQL = re.compile(
    r"""
      (?P<skip> --[^\n]*
        | \b[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
        | \$(?P<tag>[A-Za-z_\x80-\U0010ffff][\w]*)?\$.*?\$(?(tag)(?P=tag))\$
        | :: | := | \w+ )
      | (?P<open> ['"] | \$[A-Za-z_]*\$ )
      | :(?P<name>[A-Za-z_]\w*)
      | (?P<mark> \$\d+ | %\(\w+\)s | %s\b )
      | (?P<end> ; )
    """,
    re.VERBOSE | re.DOTALL,
)
_MYSQL = re.compile(
    r"""
      (?P<skip> --(?=\s|$)[^\n]* | \#[^\n]*
        | '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`]|``)*`
        | := | \w+ )
      | (?P<open> ['"`] )
      | :(?P<name>[A-Za-z_]\w*)
      | (?P<mark> \? | %\(\w+\)s | %s\b )
      | (?P<end> ; )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")
_FILES = frozenset({"outfile", "dumpfile", "infile"})
_WHY_NOT = {
    "copy": "COPY moves data outside of the answer; select the rows, or insert them by parameters",
    "load": "LOAD DATA reads files; insert the rows by parameters",
    "set": "settings last no longer than one call, so SET has no use here",
    "begin": "every call is a transaction of its own",
    "start": "every call is a transaction of its own",
    "commit": "every call is a transaction of its own",
    "rollback": "every call is a transaction of its own",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that may run.

    Args:
        verb: its first word, in lower case.
        text: with `$1` (PostgreSQL) or `?` (MySQL) in place of its parameters.
        slots: the parameter of each place holder, in their order.
    """

    verb: str
    text: str
    slots: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Its parameters, in the order in which they first appear."""
        return tuple(dict.fromkeys(self.slots))


def parse(sql: str, dialect: Dialect, *, write: bool) -> tuple[Statement | None, list[str]]:
    """Read a statement.

    Args:
        sql: with `:name` parameters.
        dialect: whose strings and comments.
        write: it may change data.

    Returns:
        The statement, or None and what is wrong.
    """
    if "\0" in sql or sql.encode("utf-8", "replace") != sql.encode("utf-8", "surrogatepass"):
        return None, ["must be Unicode text without NUL characters"]
    reading = _Reading(sql, dialect)
    try:
        reading.run()
    except ValueError as error:
        return None, [str(error)]
    faults = reading.faults + _word_faults(reading.words, sql, write=write)
    if faults:
        return None, list(dict.fromkeys(faults))
    return Statement(reading.words[0], "".join(reading.pieces).strip(), tuple(reading.slots)), []


class _Reading:
    """One pass over a statement."""

    def __init__(self, sql: str, dialect: Dialect) -> None:
        self._sql = sql
        self._dialect = dialect
        self._ended = False
        self.pieces: list[str] = []
        self.slots: list[str] = []
        self.words: list[str] = []
        self.faults: list[str] = []

    def run(self) -> None:
        """Read it.

        Raises:
            ValueError: something in it has no end.
        """
        tokens = _POSTGRESQL if self._dialect == "postgresql" else _MYSQL
        at = 0
        while at < len(self._sql):
            if self._sql.startswith("/*", at):
                at = self._comment(at)
            elif found := tokens.match(self._sql, at):
                self._token(found)
                at = found.end()
            else:
                self._take(self._sql[at])
                at += 1

    def _token(self, found: re.Match[str]) -> None:
        token = found.group()
        if found["open"]:
            raise ValueError(f"has a {token} that is not closed")
        if found["end"]:
            self._ended = True
        elif found["mark"]:
            self.faults.append(f"must have its parameters as `:name`, not as `{token}`")
        elif found["name"]:
            self.slots.append(found["name"])
            self._take("?" if self._dialect == "mysql" else f"${self._number()}")
        elif token.startswith(("--", "#")):
            self.pieces.append(" ")
        else:
            self.words.append(token.lower())
            self._take(token)

    def _take(self, piece: str) -> None:
        if self._ended and not piece.isspace():
            self.faults.append("must be one statement, without another one after `;`")
        self.pieces.append(piece)

    def _number(self) -> int:
        """The same name is the same parameter of PostgreSQL."""
        return list(dict.fromkeys(self.slots)).index(self.slots[-1]) + 1

    def _comment(self, at: int) -> int:
        """Leave a comment out; PostgreSQL's may stand in one another."""
        if self._dialect == "mysql" and self._sql.startswith(("/*!", "/*M!"), at):
            self.faults.append("must not have executable comments (`/*! … */`)")
        depth = 0
        for found in _COMMENT.finditer(self._sql, at):
            if found.group() == "*/":
                depth -= 1
            elif self._dialect == "postgresql" or depth == 0:
                depth += 1
            if depth == 0:
                self.pieces.append(" ")
                return found.end()
        raise ValueError("has a comment that does not end")


def _word_faults(words: list[str], sql: str, *, write: bool) -> list[str]:
    if sql.lstrip().startswith("\\"):
        return ["must be SQL; commands of a client such as \\copy are none"]
    verb = words[0] if words else ""
    if not verb.isidentifier():
        return ["has no statement"]
    faults = []
    if verb not in WRITE_VERBS:
        why = _WHY_NOT.get(verb)
        allowed = ", ".join(sorted(word.upper() for word in (WRITE_VERBS if write else READ_VERBS)))
        faults.append(why or f"begins with {verb.upper()}; it can be one of {allowed}")
    elif not write and verb not in READ_VERBS:
        faults.append(f"changes data ({verb.upper()}), which `mode: write` has to allow")
    if _FILES & set(words):
        faults.append("must not read or write files of the server (INTO OUTFILE, INFILE)")
    return faults
