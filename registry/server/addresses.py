"""Addresses that cannot be listened on: one error for all of them, and what to do about it."""

from collections.abc import Callable, Sequence

from registry.errors import SettingsError

Advise = Callable[[Sequence[str]], str]


class AddressRefused(SettingsError):
    """The address of the setting `key` cannot be listened on; `stop` says how to make it free."""

    def __init__(self, key: str, why: str, stop: str) -> None:
        self.stop = stop
        super().__init__(key, why, f"{stop}, or {advise_settings([key])}")


def advise_settings(keys: Sequence[str]) -> str:
    """Return where other addresses are written; a variable works with `make run` too."""
    names = " and ".join(keys)
    variables = " and ".join(f"ENTREPOT_{key.upper().replace('.', '__')}" for key in keys)
    what = "another address" if len(keys) == 1 else "other addresses"
    return f"write {what} as {names} in the settings file, or set {variables}"


def advise_options(keys: Sequence[str]) -> str:
    """Return how a command without a settings file is given other addresses."""
    what = "another address" if len(keys) == 1 else "other addresses"
    return f"name {what} with {' and '.join(key.replace('server.', '--') for key in keys)}"


def join_refusals(refused: Sequence[AddressRefused], advise: Advise) -> SettingsError:
    """Return one error about all addresses, with the advice for their settings."""
    first, *others = refused
    whys = [first.why, *(f"{each.key}: {each.why}" for each in others)]
    stops = list(dict.fromkeys(each.stop for each in refused))
    cure = f"{' and '.join(stops)}, or {advise([each.key for each in refused])}"
    return SettingsError(first.key, "; ".join(whys), cure)
