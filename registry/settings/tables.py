"""Reading tables of settings into their types, and printing them; this is what pydantic does."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter

from registry.settings.fields import Section
from registry.settings.model import Settings

Table = TypeVar("Table", bound=Section)


@cache  # mypy takes a class with `__hash__` for one that cannot be hashed
def _adapt(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def read_table(model: type[Table], values: Mapping[str, object]) -> Table:
    """Return a table of settings, such as `Settings`, from the values of TOML or JSON.

    Raises:
        pydantic.ValidationError: some values cannot be used; the error lists all of them.
    """
    table: Table = _adapt(model).validate_python(values)  # type: ignore[arg-type]
    return table


def dump(settings: Settings) -> dict[str, Any]:
    """Return all settings as the tables, lists and values of TOML and JSON.

    Sizes (`50GiB`) and durations (`60s`) are as people write them; passwords are asterisks.
    """
    tables = dump_table(settings, "json")
    for upstream in tables["upstreams"].values():
        if not upstream["password"]:
            del upstream["password"]
    for prefetch in tables["prefetch"]:
        del prefetch["every" if prefetch["at"] else "at"]
    return tables


def dump_table(table: Section, mode: Literal["json", "python"]) -> dict[str, Any]:
    """Return a table as `dump` does, or with the values of Python; with all passwords."""
    tables: dict[str, Any] = _adapt(type(table)).dump_python(table, mode=mode)  # type: ignore[arg-type]
    return tables
