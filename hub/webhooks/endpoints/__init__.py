"""Endpoints: where a tenant wants its events, and everything that people do with them.

`api` → `service` (one change, one transaction) → `store`; `checking` judges input before a transaction begins.
"""
