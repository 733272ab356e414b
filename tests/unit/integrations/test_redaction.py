from __future__ import annotations

from hub.integrations.pipeline.redaction import Redactor
from hub.net.outcome import Outcome

SECRET = 's3cr/et"value+1'


def cleaned(body: bytes = b"", message: str = "", **headers: str) -> Outcome:
    outcome = Outcome(
        200, None, message, {name.replace("_", "-"): value for name, value in headers.items()}, body
    )
    Redactor([SECRET, "abc"]).clean(outcome)
    return outcome


def test_an_echo_is_masked_in_every_spelling() -> None:
    body = (
        b'plain s3cr/et"value+1 url s3cr%2Fet%22value%2B1 json s3cr/et\\"value+1 php s3cr\\/et\\"value+1 end'
    )
    assert cleaned(body).body == b"plain *** url *** json *** php *** end"


def test_an_echo_is_masked_however_its_characters_are_escaped() -> None:
    body = r'json "päss wörd", "p\u00e4ss w\u00f6rd" form p%C3%A4ss+w%C3%B6rd'
    outcome = Outcome(200, None, body=body.encode())
    Redactor(["päss wörd"]).clean(outcome)
    assert outcome.body == b'json "***", "***" form ***'


def test_headers_and_messages_are_masked_too() -> None:
    outcome = cleaned(
        message=f"refused {SECRET}", location=f"/?key={SECRET}", set_cookie="sid=1", x_other="fine"
    )
    assert outcome.message == "refused ***"
    assert outcome.headers == {"location": "/?key=***", "set-cookie": "***", "x-other": "fine"}


def test_a_secret_that_is_part_of_another_leaves_no_rest() -> None:
    outcome = Outcome(200, None, body=b"tokentoken-long")
    Redactor(["token-long", "tokentoken-long"]).clean(outcome)
    assert outcome.body == b"***"


def test_texts_that_occur_by_chance_stay() -> None:
    assert cleaned(b"abc").body == b"abc"
