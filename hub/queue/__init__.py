"""The doorbell and the engine's contracts: task names, payloads, queues, ring, pump. The only publisher to Celery."""
