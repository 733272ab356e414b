"""SCRAM-SHA-256, the client's side (RFC 5802, RFC 7677), without channel binding.

Promises: the password is not sent; the server proves that it knows it too. Leaves to others: the messages around it,
and to go on only with one that has.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import stringprep
import unicodedata

#: Each costs a microsecond or so, and the server chooses; its default is 4,096.
MAX_ITERATIONS = 1_000_000


class ScramFault(Exception):
    """The server's part of the exchange is wrong."""


class Scram:
    """One login.

    Args:
        password: as the user gave it.
        nonce: random printable ASCII without a comma.

    Attributes:
        proved: the server has shown that it knows the password. Whatever else it says, without this the login is none.
    """

    def __init__(self, password: str, nonce: str) -> None:
        self._password = prepare(password)
        self._nonce = nonce
        self._bare = f"n=,r={nonce}"  # PostgreSQL takes the user of its startup message
        self._signature = b""
        self.proved = False

    @property
    def first(self) -> bytes:
        """The client's first message."""
        return f"n,,{self._bare}".encode()

    def answer(self, server_first: bytes) -> bytes:
        """The client's final message.

        Raises:
            ScramFault: the server's first message is not valid.
        """
        try:
            fields = dict(part.split("=", 1) for part in server_first.decode("ascii").split(","))
            nonce, iterations = fields["r"], int(fields["i"])
            salt = base64.b64decode(fields["s"], validate=True)
        except (KeyError, ValueError):
            raise ScramFault from None
        if not nonce.startswith(self._nonce) or nonce == self._nonce or not 1 <= iterations <= MAX_ITERATIONS:
            raise ScramFault
        without_proof = f"c=biws,r={nonce}"
        message = f"{self._bare},{server_first.decode()},{without_proof}".encode()
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, iterations)
        key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(key).digest(), message)
        proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
        self._signature = _hmac(_hmac(salted, b"Server Key"), message)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def check(self, server_final: bytes) -> None:
        """Judge the server's proof.

        Raises:
            ScramFault: it does not know the password.
        """
        expected = b"v=" + base64.b64encode(self._signature)
        if not self._signature or not hmac.compare_digest(server_final.split(b",")[0], expected):
            raise ScramFault
        self.proved = True


def prepare(password: str) -> bytes:
    """The password in the form that is hashed (SASLprep, RFC 4013); as it is when it has none, as in PostgreSQL."""
    if password.isascii():
        return password.encode()
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in password
        if not stringprep.in_table_b1(char)
    )
    text = unicodedata.normalize("NFKC", mapped)
    if not text or any(_is_prohibited(char) for char in text) or not _is_one_direction(text):
        return password.encode()
    return text.encode()


def _is_prohibited(char: str) -> bool:
    return (
        stringprep.in_table_a1(char)
        or stringprep.in_table_c12(char)
        or stringprep.in_table_c21_c22(char)
        or stringprep.in_table_c3(char)
        or stringprep.in_table_c4(char)
        or stringprep.in_table_c5(char)
        or stringprep.in_table_c6(char)
        or stringprep.in_table_c7(char)
        or stringprep.in_table_c8(char)
        or stringprep.in_table_c9(char)
    )


def _is_one_direction(text: str) -> bool:
    if not any(stringprep.in_table_d1(char) for char in text):
        return True
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends and not any(stringprep.in_table_d2(char) for char in text)


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
