"""What every room stands on: settings, errors, ids, clock, secrets, logging. Knows nothing of the product."""
