"""Secrets at rest: envelope encryption under a key ring, and its rotation. There is no plaintext mode."""
