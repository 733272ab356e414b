"""Steps that change values in place: lower, upper, trim, cast, date_format, template.

All but template work on every value at their paths. Where nothing or null is, nothing happens; an array of values
is done element by element. Each step is total: it ends, and fails only with CannotApplyError.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from hub.transforms.casting import CASTS, CannotCastError
from hub.transforms.dates import BadDateFormatError, CannotReadDateError, DateFormat, make_date_format
from hub.transforms.editing import change, kind
from hub.transforms.faults import shown
from hub.transforms.running import CannotApplyError
from hub.transforms.shape_steps import put_at
from hub.transforms.specs import check_apart, read_assignments, read_options, read_path, read_paths
from hub.transforms.template import BadTemplateError, NotFilledError, Template, parse_template

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.transforms.paths import Path
    from hub.transforms.running import Run
    from hub.transforms.specs import Reading


@dataclass(frozen=True, slots=True)
class _TextStep(ABC):
    """Text is replaced by other text."""

    paths: tuple[Path, ...]

    @classmethod
    def read(cls, spec: Any, at: str, faults: Reading) -> Self:
        """From JSON."""
        return cls(read_paths(spec, at, faults))

    def apply(self, document: Any, run: Run) -> Any:
        """See `Step`."""
        for path in self.paths:
            document = _change_each(document, path, lambda value: self._one(value, run))
        return document

    def _one(self, value: Any, run: Run) -> Any:
        if not isinstance(value, str):
            raise CannotApplyError(f"{kind(value)} is there, not text")
        new = self._new(value)
        run.spend(max(0, len(new) - len(value)))
        return new

    @abstractmethod
    def _new(self, text: str) -> str:
        """What comes in place of a text."""


class Lower(_TextStep):
    """`{"lower": ["data.email"]}`: in lower case."""

    __slots__ = ()

    def _new(self, text: str) -> str:
        return text.lower()


class Upper(_TextStep):
    """`{"upper": ["data.country"]}`: in upper case."""

    __slots__ = ()

    def _new(self, text: str) -> str:
        return text.upper()


class Trim(_TextStep):
    """`{"trim": ["data.name"]}`: without white space at both ends."""

    __slots__ = ()

    def _new(self, text: str) -> str:
        return text.strip()


@dataclass(frozen=True, slots=True)
class Cast:
    """`{"cast": {"data.amount": "number"}}`: another type; see `hub.transforms.casting`."""

    casts: tuple[tuple[Path, Callable[[Any], Any]], ...]

    @classmethod
    def read(cls, spec: Any, at: str, faults: Reading) -> Self:
        """From JSON."""
        casts = []
        for path, name, place in read_assignments(spec, at, faults, '{"data.amount": "number"}'):
            if isinstance(name, str) and name in CASTS:
                casts.append((path, CASTS[name]))
            else:
                faults.add(place, f"must be one of {', '.join(CASTS)}")
        check_apart([path for path, _ in casts], at, faults)
        return cls(tuple(casts))

    def apply(self, document: Any, run: Run) -> Any:
        """See `Step`."""
        for path, cast in self.casts:
            document = _change_each(document, path, _casting(cast, run))
        return document


@dataclass(frozen=True, slots=True)
class FormatDate:
    """`{"date_format": {"path": "data.created", "from": "iso", "to": "%d.%m.%Y", "timezone": "Europe/Berlin"}}`.

    See `hub.transforms.dates`. `from` is `iso` and `timezone` is `UTC` when they are not given.
    """

    path: Path
    form: DateFormat

    @classmethod
    def read(cls, spec: Any, at: str, faults: Reading) -> Self | None:
        """From JSON."""
        options = read_options(spec, at, faults, required=("path", "to"), optional=("from", "timezone"))
        if options is None:
            return None
        path = read_path(options["path"], f"{at}.path", faults)
        try:
            form = make_date_format(options.get("from", "iso"), options["to"], options.get("timezone", "UTC"))
        except BadDateFormatError as error:
            faults.add(at, str(error))
            return None
        return None if path is None else cls(path, form)

    def apply(self, document: Any, _run: Run) -> Any:
        """See `Step`."""
        return _change_each(document, self.path, self._one)

    def _one(self, value: Any) -> Any:
        try:
            return self.form.convert(value)
        except CannotReadDateError as error:
            raise CannotApplyError(str(error)) from None


@dataclass(frozen=True, slots=True)
class FillIn:
    """`{"template": {"data.title": "Order {{ data.id }}"}}`: put text; see `hub.transforms.template`.

    A template of one place alone copies the value there with its type. All templates of a step read the document
    as it was before the step.
    """

    templates: tuple[tuple[Path, Template], ...]

    @classmethod
    def read(cls, spec: Any, at: str, faults: Reading) -> Self:
        """From JSON."""
        templates = []
        for path, text, place in read_assignments(spec, at, faults, '{"data.title": "Order {{ data.id }}"}'):
            try:
                templates.append((path, parse_template(text)))
            except BadTemplateError as error:
                faults.add(place, str(error))
        check_apart([path for path, _ in templates], at, faults)
        return cls(tuple(templates))

    def apply(self, document: Any, run: Run) -> Any:
        """See `Step`."""
        try:
            values = [(path, template.value(document, run.grow)) for path, template in self.templates]
        except NotFilledError as error:
            raise CannotApplyError(str(error)) from None
        for path, value in values:
            document = put_at(document, path, _growing(value, run))
        return document


def _growing(value: Any, run: Run) -> Callable[[Any], Any]:
    def grow(_old: Any) -> Any:
        run.grow(value)
        return value

    return grow


def _casting(cast: Callable[[Any], Any], run: Run) -> Callable[[Any], Any]:
    def one(value: Any) -> Any:
        try:
            new = cast(value)
        except CannotCastError as error:
            raise CannotApplyError(str(error)) from None
        run.spend(2)  # the quotes around a number
        return new

    return one


def _change_each(document: Any, path: Path, new: Callable[[Any], Any]) -> Any:
    """Change what is at a path, the elements where that is an array; the path goes into the error."""

    def change_value(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, list):
            return [None if item is None else new(item) for item in value]
        return new(value)

    try:
        return change(document, path, change_value)
    except CannotApplyError as error:
        raise CannotApplyError(f"at `{shown(path.text)}` {error}") from None
