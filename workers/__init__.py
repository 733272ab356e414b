"""The worker side: Celery tasks, beat, probes. Imports `hub`, which never imports it back."""
