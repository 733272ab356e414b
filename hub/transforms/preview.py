"""What a filter and steps would do with a sample: for the preview API and for dry runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hub.transforms.filters import compile_filter
from hub.transforms.measure import OverCapError, measure
from hub.transforms.outcome import StepFailed
from hub.transforms.running import Run
from hub.transforms.steps import CancelledAt, compile_steps

if TYPE_CHECKING:
    from hub.transforms.sandbox import Sandbox

#: The documents between steps are shown until they have this size together.
MAX_SHOWN_BYTES = 1_048_576


def preview(filter_spec: Any, steps: Any, sample: Any, sandbox: Sandbox | None) -> dict[str, Any]:
    """Try a filter and steps on a sample. The steps are tried also when the filter does not match.

    Args:
        filter_spec: as for `compile_filter`; None is no filter.
        steps: as for `compile_steps`; None is no steps.
        sample: the document.
        sandbox: for expression steps.

    Returns:
        `matches`; `conditions`, the filter's findings as objects; `steps`, each with `index`, `step` and
        `document` (or `document_omitted: true` when there is much to show) up to the one that ended the run;
        `outcome`, one of `transformed`, `cancelled`, `failed`; `document` and `headers` of a transformed sample,
        otherwise None and `{}`; `index` and `reason` of the step that cancelled or failed, otherwise None;
        `would_send`, whether the filter matches and the steps end in a document.

    Raises:
        Invalid: the filter or a step is wrong; places begin with `filter` or `transformations`.
        Unavailable: the sandbox does not answer.
    """
    chosen = compile_filter({} if filter_spec is None else filter_spec)
    pipeline = compile_steps([] if steps is None else steps)
    if pipeline.needs_sandbox and sandbox is not None:
        pipeline.check_expressions(sandbox)
    matches = chosen.matches(sample)
    run = Run(sandbox, pipeline.max_bytes)
    shown: list[dict[str, Any]] = []
    room = MAX_SHOWN_BYTES
    document = sample
    outcome, index, reason = "transformed", None, None
    try:
        for position, document in enumerate(pipeline.trace(sample, run)):
            entry: dict[str, Any] = {"index": position, "step": pipeline.steps[position][0]}
            try:
                room -= measure(document, max_bytes=room)
                entry["document"] = document
            except OverCapError:
                entry["document_omitted"] = True
            shown.append(entry)
    except StepFailed as failed:
        outcome, index, reason = "failed", failed.index, failed.message
    except CancelledAt as cancelled:
        outcome, index, reason = "cancelled", cancelled.index, cancelled.reason
    transformed = outcome == "transformed"
    return {
        "matches": matches,
        "conditions": [asdict(finding) for finding in chosen.explain(sample)],
        "steps": shown,
        "outcome": outcome,
        "document": document if transformed else None,
        "headers": dict(run.headers.values()) if transformed else {},
        "index": index,
        "reason": reason,
        "would_send": matches and transformed,
    }
