"""Celery's settings, each with its reason. Postgres holds the truth: all of this tunes speed and manners, not safety.

Read by `hub.queue.app`; a service that only publishes uses `hub.client.CeleryClient` and needs none of it.
"""

from kombu import Queue

from hub.core.settings import get_settings
from hub.queue.contracts import ROUTES
from hub.queue.contracts import Queue as Names
from hub.queue.pump import OVERTIME

_settings = get_settings()

# -- Broker ---------------------------------------------------------------------------------------------------------
broker_url = _settings.celery_broker_url
# Workers may start before the broker does.
broker_connection_retry_on_startup = True
# None: for ever. The default gives up after 100 tries and leaves a worker that is up and deaf.
broker_connection_max_retries = None
# A publisher that finds no free connection says so after 5 s; the default waits for ever.
broker_pool_acquire_timeout = 5
broker_transport_options = {
    # Keys of several applications can share one Redis.
    "global_keyprefix": "hub:",
    # How long an unacknowledged message stays with a worker that died. Rows do not wait for it: the sweep rings.
    "visibility_timeout": 900,
    # The defaults look for such messages only every 100 s or so.
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # None, the default, lets a publish hang for ever on a paused Redis.
    "socket_connect_timeout": 5,
    "socket_timeout": 15,
    "socket_keepalive": True,
    "health_check_interval": 25,
    # One Redis list for each queue, not four: the hub uses no message priorities.
    "priority_steps": [0],
}
if broker_url and broker_url.startswith(("amqp", "pyamqp")):
    broker_transport_options = {"confirm_publish": True}

# -- Results --------------------------------------------------------------------------------------------------------
# The row is the result; a result backend would be a second, weaker truth.
result_backend = None
task_ignore_result = True

# -- Tasks ----------------------------------------------------------------------------------------------------------
# A doorbell that dies with its worker rings again.
task_acks_late = True
task_reject_on_worker_lost = True
# JSON only: pickle would run what a stranger put into the broker.
task_serializer = "json"
accept_content = ["json"]
task_queues = [
    Queue(
        name.value,
        routing_key=name.value,
        queue_arguments={"x-queue-type": "quorum"}
        if not broker_transport_options.get("global_keyprefix")
        else None,
    )
    for name in Names
]
task_default_queue = Names.SYSTEM.value
# A typo in a queue's name raises; by default it makes a queue that nobody reads.
task_create_missing_queues = False
task_routes = {task.value: {"queue": queue.value} for task, queue in ROUTES.items()}
# Retry off would make a refused port take 6 s to fail; this gives up in about a second, and the sweep rings later.
task_publish_retry_policy = {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 1}
# A pump ends by itself when its slice is over and the last of its calls, which may take 600 s, is back and recorded;
# these end one that hangs, before RabbitMQ closes the channel of a message that is not acknowledged for 30 minutes
# (its `consumer_timeout`).
task_soft_time_limit = _settings.pump_slice_seconds + OVERTIME + 840
task_time_limit = task_soft_time_limit + 30

# -- Workers --------------------------------------------------------------------------------------------------------
# A pump keeps many calls in flight by itself; a message that waits behind it in the same process helps nobody.
worker_prefetch_multiplier = 1
worker_disable_prefetch = True
# ETAs are not used (due times are rows); the cap keeps a stranger's from filling memory.
worker_eta_task_limit = 1000
# Recycling bounds whatever leaks in a process that lives for months. Memory in KiB.
worker_max_tasks_per_child = 1000
worker_max_memory_per_child = 400_000
# SIGTERM, the warm shutdown, needs no limit: the pumps hear of it, give calls in flight their grace, hand their rows
# back and end. This is for SIGQUIT, of which they hear only when this time is over.
worker_soft_shutdown_timeout = _settings.worker_grace_seconds + 2
worker_enable_soft_shutdown_on_idle = False
# Claims make the second copy of a task harmless; killing it would cut calls in flight.
worker_cancel_long_running_tasks_on_connection_loss = False
# Our formatter masks secrets; Celery's would not.
worker_hijack_root_logger = False
# Records messages that no task understands instead of only logging them.
worker_consumer = "workers.consumer:RecordingConsumer"
# Flower needs both; measured at -23 % messages/s for one worker, which pumps do not feel.
worker_send_task_events = True
task_send_sent_event = True
# Events that nobody reads must not fill Redis.
event_queue_expires = 60
worker_proc_alive_timeout = 30

# -- Clock and beat -------------------------------------------------------------------------------------------------
timezone = "UTC"
enable_utc = True
beat_scheduler = "workers.scheduler.LeaderScheduler"
# The leader's lease is renewed from this loop.
beat_max_loop_interval = 1
beat_enable_remote_control = False
