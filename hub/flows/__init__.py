"""Flows: an event starts an operation, and the operation's end may be an event in turn."""
