"""The filter and transformation language: which documents pass, and what is made of them.

Filters and most steps are total and run in the caller's process; expressions run in a sandbox.
"""

from hub.transforms.conditions import Finding
from hub.transforms.filters import Filter, compile_filter
from hub.transforms.outcome import Cancelled, StepFailed, Transformed
from hub.transforms.preview import preview
from hub.transforms.sandbox import ExpressionFailed, Sandbox, acting_for
from hub.transforms.steps import Pipeline, compile_steps

__all__ = [
    "Cancelled",
    "ExpressionFailed",
    "Filter",
    "Finding",
    "Pipeline",
    "Sandbox",
    "StepFailed",
    "Transformed",
    "acting_for",
    "compile_filter",
    "compile_steps",
    "preview",
]
