"""The plain Celery application: Celery's defaults, the broker that the hub uses, late acknowledgement and retries."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from typing import Any

import requests
from celery import Celery

_SECRET = b"plain-celery-signing-secret-0001"

app = Celery("baseline", broker=os.environ["BASELINE_BROKER_URL"])
app.conf.task_default_queue = "baseline"
app.conf.broker_connection_retry_on_startup = True  # else a warning about the next version


@app.task(acks_late=True, autoretry_for=(requests.RequestException,), retry_backoff=True, ignore_result=True)
def deliver(url: str, event_id: str, event_type: str, data: dict[str, Any]) -> None:
    """Sign one event and post it."""
    stamp = str(int(time.time()))
    payload = {"type": event_type, "timestamp": stamp, "data": data}
    signed = f"{event_id}.{stamp}.{json.dumps(payload)}".encode()
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": hmac.new(_SECRET, signed, hashlib.sha256).hexdigest(),
    }
    requests.post(url, json=payload, headers=headers, timeout=15).raise_for_status()


@app.task(acks_late=True, autoretry_for=(requests.RequestException,), retry_backoff=True, ignore_result=True)
def call(url: str, token: str) -> None:
    """Make one call with a bearer token and read its JSON."""
    answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=15)
    answer.raise_for_status()
    answer.json()
