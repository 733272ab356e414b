"""What a user would write without the hub: one plain Celery task for each call. It shares no code with the hub."""
