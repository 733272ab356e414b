"""Steps about the request as a whole: cancel_if, set_header, remove_header. The document passes unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from hub.transforms.faults import shown
from hub.transforms.filters import Filter, build_filter
from hub.transforms.headers import name_fault, value_fault
from hub.transforms.running import CancelError, CannotApplyError
from hub.transforms.template import BadTemplateError, NotFilledError, Template, parse_template

if TYPE_CHECKING:
    from hub.transforms.running import Run
    from hub.transforms.specs import Reading

MAX_HEADERS = 50


@dataclass(frozen=True, slots=True)
class CancelIf:
    """`{"cancel_if": {"data.test": true}}`: nothing is sent when the filter matches."""

    filter: Filter

    @classmethod
    def read(cls, spec: Any, at: str, faults: Reading) -> Self | None:
        """From JSON."""
        found = build_filter(spec, at, faults)
        return None if found is None else cls(found)

    def apply(self, document: Any, _run: Run) -> Any:
        """See `Step`."""
        if self.filter.matches(document):
            raise CancelError
        return document


@dataclass(frozen=True, slots=True)
class SetHeader:
    """`{"set_header": {"X-Order": "{{ data.id }}"}}`: headers of the outgoing request, filled in as templates."""

    headers: tuple[tuple[str, Template], ...]

    @classmethod
    def read(cls, spec: Any, at: str, faults: Reading) -> Self:
        """From JSON."""
        if not isinstance(spec, dict) or not 1 <= len(spec) <= MAX_HEADERS:
            faults.add(
                at,
                f'must be an object of 1 to {MAX_HEADERS} headers, such as {{"X-Order": "{{{{ data.id }}}}"}}',
            )
            return cls(())
        headers = []
        seen: set[str] = set()
        for name, text in spec.items():
            place = f"{at}.{shown(name)}"
            fault = name_fault(name)
            if fault is None and name.lower() in seen:
                fault = "is given twice; names ignore upper and lower case"
            seen.add(name.lower())
            try:
                template = parse_template(text)
                fault = fault or value_fault(
                    "".join(part for part in template.parts if isinstance(part, str))
                )
                headers.append((name, template))
            except BadTemplateError as error:
                fault = fault or str(error)
            if fault is not None:
                faults.add(place, fault)
        return cls(tuple(headers))

    def apply(self, document: Any, run: Run) -> Any:
        """See `Step`."""
        for name, template in self.headers:
            try:
                value = template.text(document, run.grow)
            except NotFilledError as error:
                raise CannotApplyError(f"the header {name}: {error}") from None
            fault = value_fault(value)
            if fault is not None:
                raise CannotApplyError(f"the value for the header {name} {fault}")
            run.headers[name.lower()] = (name, value)
        return document


@dataclass(frozen=True, slots=True)
class RemoveHeader:
    """`{"remove_header": ["X-Debug"]}`: the request goes without these headers."""

    names: tuple[str, ...]

    @classmethod
    def read(cls, spec: Any, at: str, faults: Reading) -> Self:
        """From JSON."""
        if not isinstance(spec, list) or not 1 <= len(spec) <= MAX_HEADERS:
            faults.add(at, f'must be a list of 1 to {MAX_HEADERS} header names, such as ["X-Debug"]')
            return cls(())
        for index, name in enumerate(spec):
            fault = name_fault(name) if isinstance(name, str) else "must be text"
            if fault is not None:
                faults.add(f"{at}[{index}]", fault)
        return cls(tuple(name for name in spec if isinstance(name, str)))

    def apply(self, document: Any, run: Run) -> Any:
        """See `Step`."""
        for name in self.names:
            run.headers[name.lower()] = (name, None)
        return document
