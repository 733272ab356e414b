"""Monitoring: scheduled health checks, what they say of an integration, rolling numbers, and retention."""
