"""What every feature's routes share: services, authentication, problems, paging, bodies, idempotency.

Sits below the features, so that a feature's `api.py` can use it; `hub.api` above them puts it all together.
"""
