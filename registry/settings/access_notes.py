"""Settings of access that do less than they seem to say. Pure."""

from collections.abc import Iterator

from registry.oci.image_patterns import is_pattern
from registry.oci.rule_patterns import RulePattern
from registry.settings.model import Settings


def list_ineffective(settings: Settings) -> Iterator[str]:
    """Yield a line for each setting of access that has no effect, or another one than expected."""
    access, server = settings.access, settings.server
    if access.mode == "open":
        return
    if not access.rules:
        yield "access.rules: there is none, so nobody may pull anything; write [[access.rules]]"
    for number, rule in enumerate(access.rules, 1):
        for registry in _list_unknown(rule.allow, settings):
            yield (
                f"access.rules[{number}]: {registry} is no upstream of the settings, so nothing of"
                f' it can be pulled; write a table [upstreams."{registry}"]'
            )
    if server.client_ca and server.trusted_proxies:
        yield (
            "server.client_ca: clients behind a proxy in trusted_proxies are not known by a"
            " certificate; let them send tokens or passwords"
        )


def _list_unknown(texts: tuple[str, ...], settings: Settings) -> Iterator[str]:
    """Yield the registries that patterns spell out, and that are no upstream."""
    for text in texts:
        pattern = RulePattern.parse(text, settings.registries)
        registry = pattern.repositories.partition("/")[0]
        if not is_pattern(registry) and registry not in settings.upstreams:
            yield registry
