from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from hub.web.choices import told_by
from hub.web.problems import fault_message


class Cat(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["cat", "kitten"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"


PET: TypeAdapter[Any] = TypeAdapter(Annotated[Cat | Dog, Field(discriminator="kind"), told_by("kind")])


@pytest.mark.parametrize(
    "value", [{}, {"lives": 7}, {"kind": None}, {"kind": "canary"}, {"kind": ["canary"]}], ids=repr
)
def test_an_object_of_no_known_form_is_told_the_forms_and_not_what_it_sent(value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        PET.validate_python(value)
    (fault,) = caught.value.errors()
    assert (fault["loc"], fault_message(fault)) == ((), "`kind` must be one of cat, kitten, dog")


def test_what_is_no_object_must_be_one() -> None:
    for value in (1, "cat", ["cat"]):
        with pytest.raises(ValidationError) as caught:
            PET.validate_python(value)
        assert [fault_message(fault) for fault in caught.value.errors()] == ["must be an object"]


def test_a_good_one_is_read_as_before_and_documented_as_a_choice() -> None:
    assert PET.validate_python({"kind": "kitten", "lives": 1}) == Cat(kind="kitten", lives=1)
    assert PET.validate_python(Dog()) == Dog()
    assert PET.json_schema()["discriminator"]["propertyName"] == "kind"
