import pytest

# A module of assertions that is itself no test.
pytest.register_assert_rewrite("tests.integration.integrations.transports.conformance")
