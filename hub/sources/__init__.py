"""Incoming webhooks: providers call in, what they sent is verified, kept and published as an event."""
