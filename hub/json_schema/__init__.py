"""JSON Schema (draft 2020-12) at a bounded cost: for the data of events and the input of operations."""

from hub.json_schema.compiling import DIALECT, MAX_BYTES, MAX_PATTERNS, Validator, compile_schema

__all__ = ["DIALECT", "MAX_BYTES", "MAX_PATTERNS", "Validator", "compile_schema"]
