"""What a process loads before its first call: nothing that only some integrations need, nothing of the web in workers."""

from __future__ import annotations

import subprocess
import sys

import pytest

SOME_INTEGRATIONS = (
    *(
        "anthropic",
        "botocore",
        "google.protobuf",
        "graphql",
        "grpc",
        "jmespath",
        "jsonata",
        "jsonschema",
        "lxml",
    ),
    *("oauthlib", "openai", "paho", "paramiko", "pymysql", "websockets", "zeep"),
)


@pytest.mark.parametrize(
    ("module", "not_loaded"),
    [
        ("hub.api.app", SOME_INTEGRATIONS),
        ("workers.app", (*SOME_INTEGRATIONS, "fastapi", "starlette", "uvicorn")),
        ("hub.cli.main", (*SOME_INTEGRATIONS, "fastapi", "celery", "sqlalchemy", "pydantic")),
    ],
)
def test_a_process_loads_only_what_all_of_its_kind_need(module: str, not_loaded: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([name for name in {not_loaded!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
