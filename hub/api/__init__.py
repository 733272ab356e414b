"""The HTTP side put together: middleware, every feature's routes, health, metrics, the serving process."""
