"""Laws of the settings of access records: when answers are recorded, and for how long."""

from typing import Any

import pytest
from pydantic import ValidationError

from registry.settings.access import AccessSettings
from registry.settings.tables import read_table


def read(**values: Any) -> AccessSettings:
    return read_table(AccessSettings, values)


@pytest.mark.parametrize(
    ("values", "records"),
    [
        ({}, False),
        ({"mode": "open"}, False),
        ({"mode": "users"}, True),
        ({"mode": "open", "records": True}, True),
        ({"mode": "users", "records": False}, False),
        ({"mode": "users", "records": "false"}, False),  # a variable of the environment
    ],
)
def test_the_mode_decides_unless_the_operator_does(values: dict[str, Any], records: bool) -> None:
    """Who makes rules wants to know who has pulled by them; nobody else is recorded unasked."""
    assert records is read(**values).records
    assert records is AccessSettings(**(values | {"records": records})).records


def test_settings_that_are_made_directly_are_decided_too() -> None:
    """As in a test, or in `bundle serve`."""
    assert AccessSettings().records is False
    assert AccessSettings(mode="users").records is True


def test_defaults_are_those_documented() -> None:
    """Ninety days, four gibibytes, whole addresses."""
    settings = AccessSettings()

    assert (settings.records_for, settings.records_limit) == (90 * 86_400.0, 4 * 1024**3)
    assert settings.addresses == "whole"


@pytest.mark.parametrize(
    "values",
    [
        {"records": "sometimes"},
        {"records_for": "1h"},
        {"records_limit": "1KiB"},
        {"addresses": "half"},
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, Any]) -> None:
    """A file has the records of a day, so that less than a day cannot be kept."""
    with pytest.raises(ValidationError):
        read(**values)
