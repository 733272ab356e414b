from __future__ import annotations

import pytest

from hub.core.errors import Invalid
from hub.net.headers import check_headers
from hub.transforms import compile_steps
from hub.transforms.headers import name_fault, value_fault

REFUSED = [
    "Host", "content-length", "Transfer-Encoding", "CONNECTION", "Keep-Alive", "TE", "Trailer", "Upgrade",
    "Proxy-Authorization", "proxy-connection", "Expect", "Accept-Encoding", "HTTP2-Settings", "webhook-id",
    "Webhook-Signature", "Content-Type", "User-Agent", "Authorization", "Cookie", "", "a b", "a:b", "a\r\nb", "ä",
    "a\x00", "X-Y\n",
]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_a_header_that_is_not_the_users_is_refused(name: str) -> None:
    for step in ({"set_header": {name: "x"}}, {"remove_header": [name]}):
        with pytest.raises(Invalid) as caught:
            compile_steps([step])
        assert len(caught.value.fields) == 1


@pytest.mark.parametrize(
    "name", [*REFUSED, "X-Order", "Accept", "X-Hub-Signature", "Http2", "proxy"], ids=ascii
)
def test_no_header_passes_here_that_the_sender_refuses(name: str) -> None:
    try:
        check_headers({name: "x"})
    except Invalid:
        assert name_fault(name) is not None


@pytest.mark.parametrize(
    "value", ["a\r\nX: y", "a\n", "\x00", "ü", "\x7f", "a" * 5000, "a", "", "a\tb"], ids=ascii
)
def test_values_pass_as_at_the_sender(value: str) -> None:
    try:
        check_headers({"X-A": value})
        assert value_fault(value) is None
    except Invalid:
        assert value_fault(value) is not None


def test_a_fixed_value_is_checked_when_the_step_is_read() -> None:
    with pytest.raises(Invalid, match="printable ASCII"):
        compile_steps([{"set_header": {"X-A": "a\r\nHost: evil {{ data.id }}"}}])


def test_a_header_given_twice_is_refused() -> None:
    with pytest.raises(Invalid, match="given twice"):
        compile_steps([{"set_header": {"X-A": "1", "x-a": "2"}}])
