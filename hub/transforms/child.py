"""The program inside the sandbox: reads requests from stdin, evaluates, writes answers to stdout.

Runs as a script of its own (`python -I -S child.py DIRECTORY… -- MEMORY_BYTES MAX_BYTES`), in an empty
environment, and imports nothing of the hub. Before it reads the first request it gives up what an expression has
no use for: files, processes, the network, more memory. A frame is four bytes of length, big-endian, and JSON.

Request `{"do": "evaluate" | "check", "language", "expression", "document"}`; answer `{"ok": result}` or
`{"failed": "error" | "out_of_memory" | "too_large", "message": …}`. The first frame is sent by the child:
`{"ok": {"memory_limited": bool}}`.

Leaves the wall clock to its parent, which kills it. Should the parent die, an idle child reads the end of stdin;
a busy one is ended by its limit of CPU seconds. (PR_SET_PDEATHSIG would not do: it is sent when the *thread* ends
that started the child.)
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

#: jsonata raises the limit to 10,000 when it is imported, which is more than the C stack bears.
_RECURSION_LIMIT = 2500
_CPU_SECONDS = 2
_MESSAGE_CHARACTERS = 300
_PLACEHOLDER = re.compile(r"\{+\w+\}+")
_REFUSED_EVENTS = (
    "open", "import", "exec", "compile", "os.", "socket.", "subprocess.", "ctypes.", "fcntl.", "mmap.", "pty.",
)  # fmt: skip


def main(argv: list[str]) -> None:
    """Serve until stdin ends.

    Args:
        argv: directories that hold the expression languages, `--`, bytes of memory beyond the present ones, cap
            of an answer in bytes.
    """
    split = argv.index("--")
    sys.path.extend(argv[:split])
    memory_bytes, max_bytes = int(argv[split + 1]), int(argv[split + 2])
    languages = {"jmespath": _JMESPath(), "jsonata": _JSONata()}
    memory_limited = _confine(memory_bytes)
    _write(json.dumps({"ok": {"memory_limited": memory_limited}}).encode())
    while True:
        request = _read(int.from_bytes(_read(4), "big"))
        _limit_cpu()
        _write(_answer(request, languages, max_bytes))


class _JMESPath:
    """Source: https://jmespath.org/specification.html."""

    def __init__(self) -> None:
        import jmespath.functions  # noqa: PLC0415  (its directory is known only now)

        self._compile = jmespath.compile
        self._functions = jmespath.functions.Functions.FUNCTION_TABLE
        self.evaluate(self.read("sort_by(a, &b)[?b > `1`].join('-', [to_string(b)])"), {"a": [{"b": 2}]})

    def read(self, expression: str) -> Any:
        compiled = self._compile(expression)
        nodes = [compiled.parsed]
        while nodes:  # the parser does not look at the names of functions
            node = nodes.pop()
            if node["type"] == "function_expression" and node["value"] not in self._functions:
                raise ValueError(f"there is no function {node['value']}()")
            nodes.extend(child for child in node["children"] if isinstance(child, dict))
        return compiled

    @staticmethod
    def evaluate(compiled: Any, document: Any) -> Any:
        return compiled.search(document)

    @staticmethod
    def told(error: Exception) -> str | None:
        name = getattr(error, "function_name", None)
        return None if name is None else f"the function {name}() was given what it cannot take"


class _JSONata:
    """Source: https://docs.jsonata.org."""

    #: Each is evaluated once at the start, so that nothing has to be loaded from a file later.
    _WARM_UP = (
        "$sum(a.b) & $uppercase('x') & $now() & $fromMillis(0, '[Y]-[M01]-[D01]', '+0100')",
        "$map(a, function($v) { $v.b }) ~> $sort ~> $join",
        "$replace('ab', /a/, 'c') & $encodeUrlComponent('ä') & $base64encode('x') & $formatNumber(1, '0.0')",
        "$eval('1+1') & $string($random()) & $formatInteger(1, 'w') & $toMillis('2020-01-01')",
        "$ ~> |a|{'c': 1}|",
        "$error('x')",
    )

    def __init__(self) -> None:
        import jsonata  # noqa: PLC0415  (its directory is known only now)

        self._compile = jsonata.Jsonata
        self._messages = jsonata.JException.error_codes
        for expression in self._WARM_UP:
            with contextlib.suppress(Exception):
                self.evaluate(self.read(expression), {"a": [{"b": 2}]})
        sys.setrecursionlimit(_RECURSION_LIMIT)

    def read(self, expression: str) -> Any:
        # The library keeps state in what it read. Read anew each time, and with bindings of its own below, no
        # evaluation meets what another one left.
        return self._compile(expression)

    @staticmethod
    def evaluate(compiled: Any, document: Any) -> Any:
        return compiled.evaluate(document, {})

    def told(self, error: Exception) -> str | None:
        code = getattr(error, "error", None)
        if not isinstance(code, str) or code not in self._messages:
            return None
        text = _PLACEHOLDER.sub("…", self._messages[code])
        if text == "…":  # $error, $assert: the text may be of the document
            text = "it raises an error of its own"
        position = getattr(error, "location", -1)
        return f"{text} ({code}{f' at character {position}' if position >= 0 else ''})"


def _confine(memory_bytes: int) -> bool:
    """Give up files, processes, core dumps and, where the system can, memory over `memory_bytes` more than now."""
    memory_limited = False
    pages = _mapped_pages()
    if pages is not None:
        cap = pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (cap, cap))
        memory_limited = True
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE):
        resource.setrlimit(limit, (0, 0))
    sys.addaudithook(_refuse)
    return memory_limited


def _mapped_pages() -> int | None:
    """How much address space is in use; None where the system does not say (macOS, which ignores the limit, too)."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[0])
    except OSError:
        return None


def _refuse(event: str, _args: tuple[Any, ...]) -> None:
    if event.startswith(_REFUSED_EVENTS):
        raise PermissionError(f"{event} is not allowed here")


def _limit_cpu() -> None:
    """Grant a few more CPU seconds; the soft limit ends the process (SIGXCPU)."""
    soft = int(time.process_time()) + _CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(raw: bytes, languages: dict[str, Any], max_bytes: int) -> bytes:
    language = read = result = None
    try:
        request = json.loads(raw)
        language = languages[request["language"]]
        read = language.read(request["expression"])
        if request["do"] == "evaluate":
            result = language.evaluate(read, request["document"])
        answer = json.dumps({"ok": result}, allow_nan=False, separators=(",", ":")).encode()
    except MemoryError:
        return _failed("out_of_memory", "it needs too much memory")
    except RecursionError:
        return _failed("error", "it, or what it works on, is nested too deep")
    except Exception as error:  # noqa: BLE001  (the libraries raise what they like)
        if language is None or read is not None:
            # What an error of an evaluation says of itself may quote the document.
            told = language and language.told(error)
            return _failed(
                "error",
                told or f"it does not fit the document, or no JSON comes of it ({type(error).__name__})",
            )
        return _failed("error", f"it cannot be read: {error}")
    return (
        answer if len(answer) <= max_bytes else _failed("too_large", f"its result is over {max_bytes} bytes")
    )


def _failed(reason: str, message: str) -> bytes:
    return json.dumps({"failed": reason, "message": " ".join(message.split())[:_MESSAGE_CHARACTERS]}).encode()


def _read(size: int) -> bytes:
    """Exactly so many bytes of stdin; ends the process at its end."""
    parts = []
    while size:
        part = os.read(0, min(size, 1 << 20))
        if not part:
            sys.exit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _write(answer: bytes) -> None:
    rest = memoryview(len(answer).to_bytes(4, "big") + answer)
    while rest:
        rest = rest[os.write(1, rest) :]


if __name__ == "__main__":
    main(sys.argv[1:])
