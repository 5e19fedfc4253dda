"""The types of single settings: how each is read and checked, and how it is printed.

Each type is read from the text that people write, and printed as this text in JSON mode. pydantic
reads them (`settings/tables.py`). This file does not import it: a server needs only the values, and
has no pydantic in its memory (decision record 0038).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from registry.settings.client_networks import check_network
from registry.settings.endpoints import parse_endpoint, parse_trusted
from registry.settings.rates import RateSchedule, parse_rate
from registry.settings.secret import Secret
from registry.settings.values import (
    Address,
    check_periods,
    check_registry,
    compile_pattern,
    format_duration,
    format_size,
    mask_proxy,
    parse_address,
    parse_duration,
    parse_proxy,
    parse_size,
)


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a setting, for `Annotated`; each function raises Refusal for a wrong value.

    `read` gets what was written, before its type is checked, and returns the value. `check` gets a
    value of the right type, and returns the value to use. `show` returns the text for JSON.
    """

    read: Callable[[Any], object] | None = None
    check: Callable[[Any], object] | None = None
    show: Callable[[Any], str] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Say it to pydantic ("Custom types", its documentation)."""
        from pydantic_core import core_schema  # noqa: PLC0415 - only where settings are read

        schema = handler(source)
        if self.check is not None:
            schema = core_schema.no_info_after_validator_function(self.check, schema)
        if self.read is not None:
            schema = core_schema.no_info_before_validator_function(self.read, schema)
        if self.show is not None:
            schema["serialization"] = core_schema.plain_serializer_function_ser_schema(
                self.show, when_used="json"
            )
        return schema


@dataclass(frozen=True, slots=True)
class Relation:
    """What a setting has to do with those before it in its table, for `Annotated`.

    `check` gets the value and the settings before it that can be used, and returns the value to
    use; it raises Refusal.
    """

    check: Callable[[Any, Mapping[str, Any]], object]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Say it to pydantic ("Custom types", its documentation)."""
        from pydantic_core import core_schema  # noqa: PLC0415 - only where settings are read

        return core_schema.with_info_after_validator_function(
            lambda value, about: self.check(value, about.data), handler(source)
        )


Size = Annotated[int, Form(read=parse_size, show=format_size)]
Duration = Annotated[float, Form(read=parse_duration, show=format_duration)]
Periods = Annotated[Mapping[str, Duration], Form(read=check_periods)]
AddressText = Annotated[Address, Form(read=parse_address, show=str)]
Rate = Annotated[RateSchedule, Form(read=parse_rate, show=str)]
Endpoint = Annotated[str, Form(check=parse_endpoint)]
Trusted = Annotated[str, Form(check=parse_trusted)]
Proxy = Annotated[str, Form(check=parse_proxy, show=mask_proxy)]
NetworkText = Annotated[str, Form(check=check_network)]
Registry = Annotated[str, Form(check=check_registry)]
Pattern = Annotated[re.Pattern[str], Form(read=compile_pattern)]
Password = Annotated[Secret, Form(show=str)]


@dataclass(frozen=True)
class Section:
    """A table of settings; a key that it does not have is an error."""

    # What pydantic has to know: see "Configuration" in its documentation.
    __pydantic_config__: ClassVar[Mapping[str, object]] = MappingProxyType(
        {"extra": "forbid", "validate_default": True}
    )
