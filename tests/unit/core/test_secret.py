from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import traceback

import msgspec
import pytest

from hub.core.secret import Secret

CANARY = "canary-5b1e-secret-value"


@pytest.fixture
def secret() -> Secret:
    return Secret(CANARY)


def test_only_reveal_gives_it_back(secret: Secret, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("%s %r %s", secret, secret, [secret])
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret:>40}",
        f"{secret!r}",
        f"{[secret]} { ({'k': secret}) }",
    ]
    assert not [text for text in (*shown, caplog.text) if CANARY in text]
    assert secret.reveal() == CANARY


def test_it_cannot_be_serialised_by_accident(secret: Secret) -> None:
    @dataclasses.dataclass
    class Holder:
        secret: Secret

    for action in (
        lambda: pickle.dumps(secret),
        lambda: copy.copy(secret),
        lambda: copy.deepcopy(secret),
        lambda: json.dumps({"secret": secret}),
        lambda: msgspec.json.encode({"secret": secret}),
        lambda: dataclasses.asdict(Holder(secret)),
        lambda: vars(secret),
    ):
        with pytest.raises(TypeError) as caught:
            action()
        assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_equality_compares_the_texts_and_nothing_else(secret: Secret) -> None:
    assert secret == Secret(CANARY)
    assert secret != Secret(CANARY + "x")
    assert secret != CANARY
    assert {secret, Secret(CANARY)} == {secret}
    assert secret == Secret("".join(CANARY))
    assert Secret("ü") != Secret("u")


def test_what_may_be_shown_tells_nothing_of_a_short_secret(secret: Secret) -> None:
    assert secret.last4 == "alue"
    assert Secret("x" * 15).last4 == ""
    assert secret.fingerprint == Secret(CANARY).fingerprint != Secret("other").fingerprint
    assert len(secret.fingerprint) == 12
