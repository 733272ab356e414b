"""A tenant's events as they are accepted, as server-sent events.

`reading` knows what was read (pure), `frames` what is written (pure), `response` polls and writes, `api` is the route.
"""
