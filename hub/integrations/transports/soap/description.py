"""What a service takes and gives, as zeep reads it from a bundle.

Promises: zeep gets no way out (its documents come from the bundle, its other doors are shut), and its errors come out
as sentences. One description serves any number of threads: nothing in it changes after it was read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zeep.exceptions import Error as ZeepError
from zeep.settings import Settings
from zeep.wsdl import Document
from zeep.wsdl.bindings import Soap11Binding, Soap12Binding

from hub.integrations.transports.quoting import quoted
from hub.integrations.transports.soap.bundle import ROOT
from hub.integrations.transports.soap.markup import BadMarkupError, etree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.transports.soap.bundle import Bundle
    from hub.integrations.transports.soap.forms import SoapSettings

_SHOWN = 20

#: A binding with its name and its address.
_Named = tuple[str, Any, str | None]


class BadDescriptionError(Exception):
    """A WSDL that cannot be used; its text says why."""


class _Shelf:
    """zeep's transport: it gives out the bundle, and nothing else."""

    def __init__(self, documents: Mapping[str, bytes]) -> None:
        self._documents = documents

    def load(self, url: str) -> bytes:
        """A document of the bundle."""
        if url not in self._documents:
            raise BadDescriptionError("it refers to a document that it does not import")
        return self._documents[url]


@dataclass(frozen=True, slots=True)
class Port:
    """Where operations are called, and how.

    Args:
        operations: zeep's, by name.
        version: of SOAP.
        envelope: the namespace of its envelope.
        address: what the WSDL says; None when it says nothing.
    """

    operations: Mapping[str, Any]
    version: str
    envelope: str
    address: str | None

    @property
    def missing_operation(self) -> str:
        """What to say of an operation that is not there."""
        names = ", ".join(sorted(self.operations)[:_SHOWN]) or "none"
        return f"the WSDL's port has no such operation; it has {names}"


@dataclass(frozen=True, slots=True)
class Description:
    """A WSDL that was read.

    Args:
        document: zeep's.
        shapes: of its types, as `results` needs them; filled in by use.
    """

    document: Any
    shapes: dict[Any, Any] = field(default_factory=dict)

    @property
    def types(self) -> Any:
        """Its schemas."""
        return self.document.types

    def port(self, settings: SoapSettings) -> Port:
        """The port that the settings mean.

        Raises:
            BadDescriptionError: there is none.
        """
        if settings.binding is not None:
            bindings: list[_Named] = [(name, each, None) for name, each in self.document.bindings.items()]
            found = [each for each in bindings if _is(each[0], settings.binding)]
            return _chosen(found, settings, f"no SOAP binding {settings.binding}", bindings)
        ports: list[_Named] = [
            (f"{service.name}/{port.name}", port.binding, port.binding_options.get("address"))
            for service in self.document.services.values()
            for port in service.ports.values()
            if settings.service is None or service.name == settings.service
        ]
        found = [each for each in ports if settings.port in {None, each[0].partition("/")[2]}]
        wanted = "/".join(name for name in (settings.service, settings.port) if name)
        return _chosen(found, settings, f"no SOAP port {wanted}".rstrip(), ports)


def describe(bundle: Bundle, *, strict: bool) -> Description:
    """Read a bundle.

    Raises:
        BadDescriptionError: it is no WSDL, or none that zeep understands.
    """
    settings = Settings(
        strict=strict, forbid_dtd=True, forbid_entities=True, forbid_external=True, force_https=False
    )
    shelf: Any = _Shelf(bundle.documents)
    try:
        return Description(Document(ROOT, shelf, settings=settings))
    except (BadDescriptionError, BadMarkupError) as error:
        raise BadDescriptionError(str(error)) from None
    except RecursionError:
        raise BadDescriptionError("its types are nested too deeply") from None
    except (ZeepError, etree.LxmlError) as error:
        raise BadDescriptionError(f"it cannot be used: {quoted(str(error), 200)}") from None
    except Exception as error:  # noqa: BLE001 - zeep raises KeyError, AttributeError … for WSDLs that it did not expect
        raise BadDescriptionError(f"it cannot be used ({type(error).__name__})") from None


def _chosen(
    found: list[_Named],
    settings: SoapSettings,
    missing: str,
    all_: list[_Named],
) -> Port:
    for _, binding, address in found:
        version = _version(binding)
        if version is not None and settings.soap_version in {None, version}:
            return Port(binding.all(), version, binding.nsmap["soap-env"], address)
    there = ", ".join(
        f"{name} (SOAP {_version(binding)})" for name, binding, _ in all_[:_SHOWN] if _version(binding)
    )
    version = f" of SOAP {settings.soap_version}" if settings.soap_version else ""
    raise BadDescriptionError(f"it has {missing}{version}; it has {there or 'none'}")


def _version(binding: Any) -> str | None:
    if isinstance(binding, Soap11Binding):
        return "1.1"
    return "1.2" if isinstance(binding, Soap12Binding) else None


def _is(name: str, wanted: str) -> bool:
    return name == wanted or etree.QName(name).localname == wanted
