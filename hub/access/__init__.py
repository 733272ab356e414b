"""Who is asking: tenants, API keys with scopes, and idempotency keys. Every request passes here first."""
