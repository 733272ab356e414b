"""Replays: durable jobs that send events again, at a rate of their own."""
