"""How a request reaches the outside: one module for each protocol, each giving a `hub.net.Outcome`."""
