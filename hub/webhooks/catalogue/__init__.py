"""Event types with versioned JSON Schemas, and the judgement of events by them."""
