from __future__ import annotations

import pytest

from hub.core.errors import Invalid
from hub.web.etags import Stale, check_version, etag_of


@pytest.mark.parametrize("header", [None, "*", '"3"', '"1", "3"', ' "3" '])
def test_the_version_that_was_read_may_be_changed(header: str | None) -> None:
    check_version(header, 3)
    assert etag_of(3) == '"3"'


@pytest.mark.parametrize("header", ['"2"', '"1", "2"', '"33"'])
def test_another_version_is_stale(header: str) -> None:
    with pytest.raises(Stale, match="version 3 now"):
        check_version(header, 3)


@pytest.mark.parametrize("header", ["3", 'W/"3"', '"x"', "", '"3', '"3",'])
def test_what_is_no_tag_of_ours_is_refused(header: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_version(header, 3)
    assert not isinstance(caught.value, Stale)
    assert [fault.path for fault in caught.value.fields] == ["header.If-Match"]
