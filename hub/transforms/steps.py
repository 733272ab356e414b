"""Transformations: a list of steps, each a small object with one key, applied one after the other.

    [
      {"cancel_if": {"data.test": true}},
      {"pick": ["type", "data.id", "data.total"]},
      {"rename": {"data.total": "data.amount"}},
      {"cast": {"data.amount": "number"}},
      {"set_header": {"X-Order": "{{ data.id }}"}}
    ]

Steps: pick, omit, rename, nest, set, default, flatten (`shape_steps`); lower, upper, trim, cast, date_format,
template (`value_steps`); map (here); cancel_if, set_header, remove_header (`request_steps`); jmespath, jsonata
(`expression_steps`).

Promises: steps are read once, with every fault named by its place; a run never changes the given document, ends,
and fails only with StepFailed. All steps but expressions are pure. Numbers stay as they are, however long.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from hub.transforms.editing import change, kind
from hub.transforms.expression_steps import Expression, read_expression
from hub.transforms.faults import Faults, shown
from hub.transforms.measure import OverCapError, measure
from hub.transforms.outcome import Cancelled, StepFailed, Transformed
from hub.transforms.request_steps import CancelIf, RemoveHeader, SetHeader
from hub.transforms.running import CancelError, CannotApplyError, Run, Step
from hub.transforms.sandbox import ExpressionFailed
from hub.transforms.shape_steps import Default, Flatten, Nest, Omit, Pick, Rename, Set
from hub.transforms.specs import Reading, read_options, read_path
from hub.transforms.value_steps import Cast, FillIn, FormatDate, Lower, Trim, Upper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hub.transforms.paths import Path
    from hub.transforms.sandbox import Sandbox

MAX_STEPS = 50
MAX_ALL_PATHS = 300
MAX_SPEC_BYTES = 65_536
MAX_SPEC_DEPTH = 24
MAX_RESULT_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps that were read; immutable, safe in many threads.

    Attributes:
        steps: name and step, in order.
        max_bytes: cap of a result, and of all that the steps add to a document together.
    """

    steps: tuple[tuple[str, Step], ...]
    max_bytes: int

    @property
    def needs_sandbox(self) -> bool:
        """Whether a step is an expression."""
        return any(isinstance(step, Expression) for _, step in self.steps)

    def check_expressions(self, sandbox: Sandbox) -> None:
        """Have the sandbox read every expression; do this before steps are saved.

        Raises:
            Invalid: with one field for every expression that is none.
            Unavailable: the sandbox does not answer.
        """
        faults = Faults()
        for _, step in self.steps:
            if isinstance(step, Expression):
                try:
                    sandbox.check(step.language, step.text)
                except ExpressionFailed as error:
                    faults.add(step.at, f"is not an expression of {step.language}: {error.message}")
        faults.raise_if_any()

    def run(self, document: Any, sandbox: Sandbox | None) -> Transformed | Cancelled:
        """Apply the steps.

        Args:
            document: JSON; it stays as it is.
            sandbox: where expressions are evaluated; may be None when `needs_sandbox` is false.

        Raises:
            StepFailed: a step does not fit the document.
            Unavailable: the sandbox does not answer, by no fault of the document or the steps.
        """
        run = Run(sandbox, self.max_bytes)
        try:
            for result in self.trace(document, run):
                document = result
        except CancelledAt as cancelled:
            return Cancelled(cancelled.reason)
        return Transformed(document, MappingProxyType(dict(run.headers.values())))

    def trace(self, document: Any, run: Run) -> Iterator[Any]:
        """The document after each step.

        Raises:
            StepFailed: as for `run`.
            CancelledAt: a `cancel_if` step held.
        """
        for index, (name, step) in enumerate(self.steps):
            try:
                document = step.apply(document, run)
                if index == len(self.steps) - 1 or isinstance(step, Expression):
                    measure(document, max_bytes=self.max_bytes)
            except CannotApplyError as error:
                raise StepFailed(index, name, str(error)) from None
            except OverCapError as error:
                raise StepFailed(index, name, f"the result {error}") from None
            except CancelError:
                raise CancelledAt(index, f"The condition of step {index} (cancel_if) holds.") from None
            yield document


class CancelledAt(Exception):
    """A `cancel_if` step held.

    Attributes:
        index: of the step.
        reason: a sentence for a person.
    """

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index
        self.reason = reason


def compile_steps(
    specs: Any, *, field: str = "transformations", max_bytes: int = MAX_RESULT_BYTES
) -> Pipeline:
    """Read steps. Expressions are only looked at; `Pipeline.check_expressions` has them read.

    Args:
        specs: the list as JSON; later changes of it have no effect.
        field: the place of the list in the caller's input; faults are at `<field>[0].…`.
        max_bytes: cap of a result.

    Raises:
        Invalid: with one field for every fault.
    """
    reading = Reading()
    try:
        measure(specs, max_bytes=MAX_SPEC_BYTES, max_depth=MAX_SPEC_DEPTH)
    except OverCapError as error:
        reading.add(field, str(error))
    reading.raise_if_any()
    steps = _read_steps(copy.deepcopy(specs), field, reading, _STEPS)
    if reading.steps > MAX_STEPS:
        reading.add(
            field, f"has {reading.steps} steps, those of `map` included; at most {MAX_STEPS} are allowed"
        )
    if reading.paths > MAX_ALL_PATHS:
        reading.add(field, f"names {reading.paths} paths; at most {MAX_ALL_PATHS} are allowed")
    reading.raise_if_any()
    return Pipeline(steps, max_bytes)


def _read_steps(
    specs: Any, at: str, reading: Reading, known: Mapping[str, Reader]
) -> tuple[tuple[str, Step], ...]:
    if not isinstance(specs, list):
        reading.add(at, 'must be a list of steps, such as [{"pick": ["data.id"]}]')
        return ()
    steps = []
    for index, spec in enumerate(specs):
        reading.steps += 1
        place = f"{at}[{index}]"
        if not isinstance(spec, dict) or len(spec) != 1:
            reading.add(
                place, 'must be an object with one key, the name of the step, such as {"pick": ["data.id"]}'
            )
            continue
        [(name, argument)] = spec.items()
        if name in known:
            step = known[name](argument, f"{place}.{name}", reading)
            if step is not None:
                steps.append((name, step))
        elif name in _STEPS:
            reading.add(f"{place}.{name}", "cannot stand in a `map`, only in the list of steps itself")
        else:
            reading.add(f"{place}.{shown(name)}", f"is no step; the steps are {', '.join(_STEPS)}")
    return tuple(steps)


@dataclass(frozen=True, slots=True)
class Map:
    """`{"map": {"path": "data.items", "steps": [{"pick": ["sku"]}]}}`: steps for each element of an array.

    The paths of the steps inside begin in the element. Where nothing or null is at the path, nothing happens.
    """

    path: Path
    steps: tuple[tuple[str, Step], ...]

    @classmethod
    def read(cls, spec: Any, at: str, reading: Reading) -> Self | None:
        """From JSON."""
        options = read_options(spec, at, reading, required=("path", "steps"))
        if options is None:
            return None
        path = read_path(options["path"], f"{at}.path", reading)
        steps = _read_steps(options["steps"], f"{at}.steps", reading, _IN_MAP)
        return None if path is None else cls(path, steps)

    def apply(self, document: Any, run: Run) -> Any:
        """See `Step`."""
        return change(document, self.path, lambda value: self._each(value, run))

    def _each(self, value: Any, run: Run) -> Any:
        if value is None:
            return None
        if not isinstance(value, list):
            raise CannotApplyError(f"{kind(value)} is at `{shown(self.path.text)}`, not an array")
        return [self._one(item, position, run) for position, item in enumerate(value)]

    def _one(self, item: Any, position: int, run: Run) -> Any:
        for name, step in self.steps:
            try:
                item = step.apply(item, run)
            except CannotApplyError as error:
                raise CannotApplyError(
                    f"{name} for element {position} of `{shown(self.path.text)}`: {error}"
                ) from None
        return item


Reader = Callable[[Any, str, Reading], Step | None]

_IN_MAP: dict[str, Reader] = {
    "pick": Pick.read,
    "omit": Omit.read,
    "rename": Rename.read,
    "nest": Nest.read,
    "set": Set.read,
    "default": Default.read,
    "flatten": Flatten.read,
    "lower": Lower.read,
    "upper": Upper.read,
    "trim": Trim.read,
    "cast": Cast.read,
    "date_format": FormatDate.read,
    "template": FillIn.read,
    "map": Map.read,
}
_STEPS: dict[str, Reader] = {
    **_IN_MAP,
    "cancel_if": CancelIf.read,
    "set_header": SetHeader.read,
    "remove_header": RemoveHeader.read,
    "jmespath": partial(read_expression, "jmespath"),
    "jsonata": partial(read_expression, "jsonata"),
}
