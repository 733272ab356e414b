"""A supervisor with children that do next to nothing, as a program: `python -m … <directory> <scenario>`.

It prints `ready` when all children serve. Each child writes its process id to `<directory>/<name>.pid`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hub.embedded.logstream import LogStream
from hub.embedded.process import Child, Process
from hub.embedded.supervisor import Supervisor

_SLEEPER = """
import os, pathlib, signal, sys
directory, name = pathlib.Path(sys.argv[1]), sys.argv[2]
def leave(*_):
    with (directory / "stops").open("a") as file:
        file.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in sys.argv else leave)
if "forks" in sys.argv and os.fork() == 0:
    (directory / f"{name}-child.pid").write_text(str(os.getpid()))
    while True:
        signal.pause()
with (directory / "starts").open("a") as file:
    file.write(name + "\\n")
(directory / f"{name}.pid").write_text(str(os.getpid()))
print("serving", flush=True)
while True:
    signal.pause()
"""


def child(
    directory: Path, name: str, *words: str, foundation: bool = False, stop_timeout: float = 6.0
) -> Child:
    pid_file = directory / f"{name}.pid"
    return Child(
        name=name,
        argv=[sys.executable, "-c", _SLEEPER, str(directory), name, *words],
        env=dict(os.environ),
        ready=pid_file.exists,
        prepare=lambda: pid_file.unlink(missing_ok=True),
        stop_timeout=stop_timeout,
        foundation=foundation,
    )


def scenario(directory: Path, name: str) -> list[Child]:
    base = child(directory, "base", foundation=True)
    match name:
        case "plain":
            return [base, child(directory, "first", "forks"), child(directory, "second")]
        case "stubborn":
            return [base, child(directory, "first", "forks", "stubborn", stop_timeout=0.5)]
        case "broken":
            broken = Child(
                name="broken", argv=[sys.executable, "-c", "raise SystemExit(7)"], env={}, ready=lambda: False
            )
            return [base, broken]
        case "once":
            return [
                base,
                Child(name="once", argv=[sys.executable, "-c", "print('did it')"], env={}, once=True),
            ]
    raise ValueError(name)


def main() -> None:
    directory = Path(sys.argv[1])
    stream = LogStream(colour=False)
    processes = [Process(each, stream) for each in scenario(directory, sys.argv[2])]
    code = Supervisor(processes, say=stream.say).run(lambda: stream.say("ready"))
    stream.drain()
    sys.exit(code)


if __name__ == "__main__":
    main()
