"""Packages that only some integrations need: the hub is whole without them, and says which extra brings them."""

from __future__ import annotations

from importlib.util import find_spec

#: Extra of the hub's own package → what has to be there: the module to look for, and its package.
_PACKAGES = {
    "aws": (("botocore", "botocore"),),
    "grpc": (
        ("grpc", "grpcio"),
        ("google.protobuf", "protobuf"),
        ("google.rpc", "googleapis-common-protos"),
        ("grpc_reflection", "grpcio-reflection"),
    ),
    "mqtt": (("paho", "paho-mqtt"),),
    "mysql": (("pymysql", "pymysql"),),
    "sftp": (("paramiko", "paramiko"),),
    "soap": (("zeep", "zeep"),),
}


def lack_of(extra: str) -> str | None:
    """What an integration lacks that needs an extra, to be read after its field; None when all of it is there.

    Args:
        extra: such as `grpc`.
    """
    for module, package in _PACKAGES[extra]:
        if not _is_there(module):
            return f"needs the package {package}: install integration-hub[{extra}]"
    return None


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package around it
        return False
