"""The registry: what integrations are, their versions, and what is wrong with a definition."""
