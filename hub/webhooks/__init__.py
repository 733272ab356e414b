"""Outgoing webhooks: endpoints, publishing, matching, signing, fan-out, delivery, retries."""
