"""Integrations: the registry of outside APIs and the engine that executes their operations."""
