"""A SOAP service that spyne makes, served by waitress on a free port of loopback, in a process of its own.

spyne leaves an import hook behind that warns at every import, hence the process. Its newest release (2.14) needs the
module `cgi` and an older way to import, which ended with Python 3.12.
"""

# ruff: noqa: N805, PLC0415 - spyne calls its functions without a self, and is imported in the process alone
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

SPYNE_WORKS = sys.version_info < (3, 12)
NAMESPACE = "urn:example:shop"


@contextmanager
def serving_soap(version: str) -> Iterator[str]:
    """Run one; gives its address.

    Args:
        version: of SOAP.
    """
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(Path(__file__)), version],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        assert port, "the service did not start"
        yield f"http://127.0.0.1:{port}/shop"
    finally:
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


def _application(version: str) -> Any:
    from spyne import Application, Fault, ServiceBase, rpc
    from spyne.model.binary import ByteArray
    from spyne.model.complex import Array, ComplexModel, XmlAttribute
    from spyne.model.complex import Iterable as Many
    from spyne.model.primitive import Boolean, DateTime, Decimal, Double, Integer, Unicode
    from spyne.protocol.soap import Soap11, Soap12
    from spyne.server.wsgi import WsgiApplication

    class Login(ComplexModel):  # type: ignore[misc]
        __namespace__ = NAMESPACE
        user = Unicode(min_occurs=1)

    class Line(ComplexModel):  # type: ignore[misc]
        __namespace__ = NAMESPACE
        sku = XmlAttribute(Unicode)
        quantity = Integer(min_occurs=1)
        price = Decimal

    class Order(ComplexModel):  # type: ignore[misc]
        __namespace__ = NAMESPACE
        number = Integer(min_occurs=1)
        placed = DateTime
        paid = Boolean
        ratio = Double
        scan = ByteArray
        lines = Array(Line)

    class Shop(ServiceBase):  # type: ignore[misc]
        __in_header__ = Login

        @rpc(Integer(min_occurs=1), Integer(min_occurs=1), _returns=Integer)  # type: ignore[untyped-decorator]
        def add(ctx: Any, a: int, b: int) -> int:
            return a + b

        @rpc(Unicode, Integer, _returns=Many(Unicode))  # type: ignore[untyped-decorator]
        def say(ctx: Any, what: str, times: int) -> Iterable[str]:
            return [what] * (times or 0)

        @rpc(Order.customize(min_occurs=1, nillable=False), _returns=Order)  # type: ignore[untyped-decorator]
        def place(ctx: Any, order: Any) -> Any:
            return order

        @rpc(_returns=Unicode)  # type: ignore[untyped-decorator]
        def whoami(ctx: Any) -> str | None:
            return ctx.in_header.user if ctx.in_header else None

        @rpc(Unicode, _returns=Unicode)  # type: ignore[untyped-decorator]
        def header(ctx: Any, name: str) -> str | None:
            found: str | None = ctx.transport.req_env.get(name)
            return found

        @rpc(Unicode)  # type: ignore[untyped-decorator]
        def fail(ctx: Any, why: str) -> None:
            raise Fault("Client.Broken", why, detail={"reason": {"code": "7"}})

    protocol = Soap11 if version == "1.1" else Soap12
    return WsgiApplication(
        Application(
            [Shop], NAMESPACE, name="Shop", in_protocol=protocol(validator="lxml"), out_protocol=protocol()
        )
    )


if __name__ == "__main__":
    from waitress.server import create_server

    made = create_server(_application(sys.argv[1]), host="127.0.0.1", port=0, threads=4)
    print(made.effective_port, flush=True)
    # The end of its parent is its own.
    Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    made.run()
