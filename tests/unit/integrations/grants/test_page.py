from __future__ import annotations

import base64
import hashlib
import re

from hub.integrations.grants import page

EVIL = "<script>alert('x')</script>\" onload=\"x"


def test_everything_is_escaped() -> None:
    for text in (page.connected(EVIL, EVIL), page.failed(EVIL, EVIL)):
        assert "<script" not in text
        assert '" onload' not in text
        assert "&lt;script&gt;" in text


def test_the_policy_allows_the_pages_own_style_and_nothing_else() -> None:
    found = re.search(r"<style>(.*)</style>", page.failed("no", None))
    assert found is not None
    digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
    policy = page.HEADERS["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
