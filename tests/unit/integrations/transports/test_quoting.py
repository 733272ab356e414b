from __future__ import annotations

from hub.integrations.transports.quoting import quoted


def test_a_quotation_is_one_printable_line_without_its_full_stop() -> None:
    assert quoted(" It\nbroke\x00\u2028here. ") == "It broke  here"


def test_a_long_text_is_cut_between_words() -> None:
    assert quoted("all is well with a-very-long-secret", 25) == "all is well with …"
    assert quoted("a-very-long-secret", 5) == " …"
    assert quoted("exactly", 7) == "exactly"
