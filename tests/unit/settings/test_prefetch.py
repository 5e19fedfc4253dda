"""Laws of `[[prefetch]]` tables: what they may say, and what errors say."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from registry.errors import SettingsError
from registry.settings.loading import load_settings

HEAD = "[[prefetch]]\nname = 'nightly'\n"
IMAGES = "images = ['redis:7']\n"


def load(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[dict[str, object]]:
    path = folder / "some.toml"
    path.write_text(text)
    return [asdict(each) for each in load_settings(path, environ or {}).prefetch]


def test_a_table_is_read(tmp_path: Path) -> None:
    """Everything in it is read; lists are relative to the folder of the file."""
    text = (
        f"{HEAD}at = '02:30'\n{IMAGES}lists = ['a.txt']\nhistory = '30d'\nplatforms = ['arm64']\n"
    )

    [table] = load(tmp_path, f"{text}{HEAD.replace('nightly', 'often')}every = '6h'\n{IMAGES}")[:1]

    assert table == {
        "name": "nightly",
        "at": "02:30",
        "every": 0.0,
        "images": ("redis:7",),
        "lists": (str(tmp_path / "a.txt"),),
        "history": 30 * 86400.0,
        "platforms": ("linux/arm64",),
        "max_images": 1000,
        "keep_pulls": 20,
    }


def test_a_variable_has_all_tables(tmp_path: Path) -> None:
    """The environment gives a JSON list of tables."""
    tables = json.dumps([{"name": "a", "every": "6h", "images": ["redis"], "platforms": ["all"]}])

    [table] = load(tmp_path, "", {"ENTREPOT_PREFETCH": tables})

    assert (table["name"], table["every"], table["platforms"]) == ("a", 21600.0, ("all",))


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        (f"{HEAD}{IMAGES}", "prefetch.at", 'write one of at = "02:30" and every = "6h"'),
        (f"{HEAD}at = '2:30'\nevery = '6h'\n{IMAGES}", "prefetch.at", "write one of"),
        (f"{HEAD}at = '24:00'\n{IMAGES}", "prefetch.at", "is not a time of the day"),
        (f"{HEAD}every = '10s'\n{IMAGES}", "prefetch.every", "at least 5 minutes"),
        (f"{HEAD}every = 'forever'\n{IMAGES}", "prefetch.every", "at least 5 minutes"),
        (f"{HEAD}at = '02:30'\n", "prefetch.history", "it is not known which images"),
        (f"{HEAD}at = '02:30'\nimages = ['A b']\n", "prefetch.images", "not the name of an image"),
        (f"{HEAD}at = '02:30'\n{IMAGES}platforms = ['Amd']\n", "prefetch.platforms", "all"),
        (f"{HEAD}at = '02:30'\n{IMAGES}max_images = 0\n", "prefetch.max_images", "1000"),
        (f"{HEAD}at = 230\n{IMAGES}", "prefetch.at", "02:30"),
        (f"{HEAD}at = '02:30'\n{IMAGES}when = 1\n", "prefetch.when", "no such setting"),
        (
            f"{HEAD}at = '02:30'\n{IMAGES}max_image = 3\n",
            "prefetch.max_image",
            "did you mean prefetch.max_images?",
        ),
        ("[[prefetch]]\nat = '02:30'\nimages = ['a']\n", "prefetch.name", "nightly"),
        ("[[prefetch]]\nname = 'a b'\n", "prefetch.name", "letters, digits"),
        (2 * f"{HEAD}at = '02:30'\n{IMAGES}", "prefetch", "two of them have the name 'nightly'"),
        ("[prefetch]\nname = 'a'\n", "prefetch", "write [[prefetch]]"),
        ("prefetch = 7\n", "prefetch", "write [[prefetch]]"),
    ],
)
def test_faults_name_the_cure(tmp_path: Path, text: str, key: str, words: str) -> None:
    """Each fault is one line that names the setting, and what to write instead."""
    with pytest.raises(SettingsError) as error:
        load(tmp_path, text)

    assert error.value.key == key
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("images = ['mirror.lan/t/ent_abcd2345_SECRET/app']", "a token of a mirror stands in it"),
        ("images = ['redis:ent_abcd2345_SECRET']", "a token of a mirror stands in it"),
        ("images = ['ann:SECRET@registry.lan/app']", "is not the name of an image"),
        ("images = ['https://ann:SECRET@registry.lan/app']", "is not the name of an image"),
        ("lists = ['https://ann:SECRET@lists.lan/images.txt']", "an address stands where a file"),
    ],
)
def test_secrets_are_refused_and_not_shown(tmp_path: Path, source: str, words: str) -> None:
    """A registry would be asked for what stands in them, and everybody can read the error."""
    secret = "abcdefgh" * 4

    with pytest.raises(SettingsError) as error:
        load(tmp_path, f"{HEAD}at = '02:30'\n{source.replace('SECRET', secret)}\n")

    assert words in str(error.value)
    assert secret not in str(error.value)
