"""The settings of one prefetch: which images are downloaded on a schedule, and when."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Interval

from registry.errors import InvalidInput, TokenMisplaced
from registry.oci.image_patterns import parse_image
from registry.oci.platforms import ALL, parse_platform
from registry.oci.registries import Registries
from registry.oci.token_texts import refuse_tokens
from registry.settings.fields import Duration, Form, Relation, Section
from registry.settings.values import MASK, Refusal, format_duration

SHORTEST = 300.0  # seconds between two runs
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOGIN = re.compile(r"[^/@]+:[^/@]+@(?!sha)")  # as in `user:password@registry/app`
_ADDRESS = re.compile(r"(?:^|/)[a-z][a-z0-9+.-]*:/")  # also where `//` became `/` in a path
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def _check_image(text: str) -> str:
    try:
        refuse_tokens(text)
    except TokenMisplaced as error:  # the registry would read it
        raise Refusal("a token of a mirror stands in it", str(error)) from error
    try:
        parse_image(text, Registries.of("docker.io", {"docker.io": ()}))
    except InvalidInput as error:
        shown, cure = (_LOGIN.sub(f"{MASK}@", each) for each in (text, str(error)))
        raise Refusal(f"{shown[:80]!r} is not the name of an image", cure) from error
    return text


def _check_list(path: str) -> str:
    if _ADDRESS.search(path):  # it is not shown: an address may have a password in it
        raise Refusal("an address stands where a file belongs", 'write lists = ["images.txt"]')
    return path


def _check_platform(text: str) -> str:
    try:
        return ALL if text == ALL else parse_platform(text)
    except InvalidInput as error:
        raise Refusal(str(error), 'or write platforms = ["all"]') from error


def _is_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        why = f"{name[:80]!r} is not a name of at most 64 letters, digits, dots and dashes"
        raise Refusal(why, 'write for example name = "nightly"')
    return name


def _is_not_too_often(every: float) -> float:
    if 0 < every < SHORTEST or every == float("inf"):
        why = f"{format_duration(every)} is no time between two runs of at least 5 minutes"
        raise Refusal(why, 'write for example every = "6h"')
    return every


def _is_time(at: str, before: Mapping[str, Any]) -> str:
    if at and _TIME.fullmatch(at) is None:
        raise Refusal(f"{at[:80]!r} is not a time of the day", 'write for example at = "02:30"')
    if bool(at) == bool(before.get("every")):
        cure = 'write one of at = "02:30" and every = "6h"'
        raise Refusal("it is not known when to run" if not at else "every is there too", cure)
    return at


def _has_source(history: float, before: Mapping[str, Any]) -> float:
    if not (history or before.get("images") or before.get("lists")):
        cure = 'write history = "30d", images = ["redis:7"] or lists = ["images.txt"]'
        raise Refusal("it is not known which images", cure)
    return history


@dataclass(frozen=True)
class PrefetchSettings(Section):
    """Images to download before a client pulls them: each day `at` a time, or after `every` period.

    They are the `images`, those that the files `lists` name, and those whose tags clients pulled in
    the last `history` seconds; at most `max_images` of them. Without `platforms`, it is the
    platforms that are stored of an image, or else that of this machine. A registry that has no more
    than `keep_pulls` requests of its pull limit left is not asked. `at` is in local time.
    """

    name: Annotated[str, Form(check=_is_name)]
    every: Annotated[Duration, Form(check=_is_not_too_often)] = 0.0
    at: Annotated[str, Relation(_is_time)] = ""
    images: tuple[Annotated[str, Form(check=_check_image)], ...] = ()
    lists: tuple[Annotated[str, Form(check=_check_list)], ...] = ()
    history: Annotated[Duration, Relation(_has_source)] = 0.0
    platforms: tuple[Annotated[str, Form(check=_check_platform)], ...] = ()
    max_images: Annotated[int, Interval(ge=1, le=100_000)] = 1000
    keep_pulls: Annotated[int, Ge(0)] = 20

    @property
    def minute(self) -> int | None:
        """The minute of the day of `at`; None without it."""
        found = _TIME.fullmatch(self.at)
        return None if found is None else int(found[1]) * 60 + int(found[2])
