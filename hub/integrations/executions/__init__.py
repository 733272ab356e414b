"""Executions: accepted at a door, kept in the ledger, made by a pump, shown with every attempt."""
