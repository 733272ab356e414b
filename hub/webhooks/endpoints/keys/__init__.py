"""Routes of what endpoints sign with; the rules are in `endpoints.rotation` and `endpoints.overlap`."""
