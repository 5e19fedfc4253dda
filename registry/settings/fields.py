"""The types of single settings, and the base class of their tables.

Each type is read from the text that people write, and printed as this text in JSON mode.
"""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SecretStr,
)

from registry.settings.endpoints import parse_endpoint, parse_trusted
from registry.settings.rates import RateSchedule, parse_rate
from registry.settings.values import (
    MASK,
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

Size = Annotated[int, BeforeValidator(parse_size), PlainSerializer(format_size, when_used="json")]
Duration = Annotated[
    float, BeforeValidator(parse_duration), PlainSerializer(format_duration, when_used="json")
]
Periods = Annotated[Mapping[str, Duration], BeforeValidator(check_periods)]
AddressText = Annotated[
    Address, BeforeValidator(parse_address), PlainSerializer(str, when_used="json")
]
Rate = Annotated[RateSchedule, BeforeValidator(parse_rate), PlainSerializer(str, when_used="json")]
Endpoint = Annotated[str, AfterValidator(parse_endpoint)]
Trusted = Annotated[str, AfterValidator(parse_trusted)]
Proxy = Annotated[str, AfterValidator(parse_proxy), PlainSerializer(mask_proxy, when_used="json")]
Registry = Annotated[str, AfterValidator(check_registry)]
Pattern = Annotated[re.Pattern[str], BeforeValidator(compile_pattern)]
Secret = Annotated[
    SecretStr, PlainSerializer(lambda secret: MASK if secret else "", when_used="json")
]


class Section(BaseModel):
    """A table of settings; a key that it does not have is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
