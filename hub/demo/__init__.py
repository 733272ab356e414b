"""The demo: traffic through a running hub against services on this machine, then a count on both sides.

It promises that its verdict rests on two independent records: the hub's rows, read through the API, and what
the outside services saw. The provider is httpbin, the receivers verify with the `standardwebhooks` package.
"""
