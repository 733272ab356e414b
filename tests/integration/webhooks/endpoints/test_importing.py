"""Many endpoints at once."""

from __future__ import annotations

from typing import Any

from tests.integration.integrations.provider import Provider
from tests.integration.webhooks.endpoints.conftest import Api

GIVEN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "http://127.0.0.1:9/hook"


def results(report: dict[str, Any]) -> list[str]:
    return [one["result"] for one in report["data"]]


def count(api: Api) -> int:
    found: int = api.world.sql("SELECT count(*) FROM hub.endpoint")[0][0]
    return found


def test_a_list_is_made_and_secrets_are_brought_along(api: Api, receiver: Provider) -> None:
    specs = [{"name": f"e{n}", "url": receiver.url, "event_types": [f"t{n}"]} for n in range(200)]
    specs[3]["secret"] = GIVEN
    report = api.post("/endpoints/import", {"endpoints": specs})
    assert (report["created"], report["refused"], set(results(report))) == (200, 0, {"created"})
    assert report["data"][3]["signing_secret"] is None
    assert report["data"][4]["signing_secret"].startswith("whsec_")
    assert api.get(f"/endpoints/{report['data'][3]['id']}")["secret"]["last4"] == GIVEN[-4:]
    assert api.world.sql("SELECT config_version FROM hub.tenant WHERE name = 'acme'") == [(2,)]
    api.world.publish("{}", type_="t7")
    api.world.deliver()
    assert len(receiver.calls) == 1


BAD: list[Any] = [
    {"name": "good", "url": URL},
    {"name": "inside", "url": "http://10.0.0.1/"},
    {"name": "good", "url": URL},
    "no object",
    {"name": "odd", "url": URL, "evnet_types": ["*"]},
    {"name": "taken", "url": URL},
    {"name": "steps", "url": URL, "transformations": [{"jsonata": "$("}]},
    {"url": URL},
]


def test_one_that_is_bad_stops_all_and_every_fault_is_told(api: Api) -> None:
    api.make(name="taken")
    paths = api.refused("POST", "/endpoints/import", {"endpoints": BAD})
    assert paths == {
        "endpoints.1.url", "endpoints.2.name", "endpoints.3", "endpoints.4.evnet_types", "endpoints.5.name",
        "endpoints.6.transformations[0].jsonata", "endpoints.7.name",
    }  # fmt: skip
    assert count(api) == 1


def test_those_that_can_be_made_are_made_when_that_is_asked_for(api: Api) -> None:
    api.make(name="taken")
    report = api.post("/endpoints/import", {"endpoints": BAD, "partial": True})
    assert results(report) == ["created", *["refused"] * 7]
    assert (report["created"], report["refused"], count(api)) == (1, 7, 2)
    assert report["data"][5]["errors"] == [{"path": "name", "message": "is the name of another endpoint"}]
    assert api.world.sql("SELECT count(*) FROM hub.secret") == [(2,)]


def test_a_dry_run_judges_and_writes_nothing(api: Api) -> None:
    api.make(name="taken")
    report = api.post("/endpoints/import", {"endpoints": BAD, "dry_run": True})
    assert results(report) == ["valid", *["refused"] * 7]
    assert (report["created"], count(api)) == (0, 1)
    assert "whsec_" not in str(report)


def test_too_many_or_none_are_refused(api: Api) -> None:
    assert api.refused("POST", "/endpoints/import", {"endpoints": []}) == {"endpoints"}
    assert api.refused("POST", "/endpoints/import", {"endpoints": [{}] * 1001}) == {"endpoints"}
    assert (
        api.call("POST", "/endpoints/import", key=api.readers_key, json={"endpoints": [{}]}).status_code
        == 403
    )
