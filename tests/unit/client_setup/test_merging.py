"""Edits of texts: what is refused, and where, and what is found in unusual forms."""

import json
import tomllib

import pytest
import yaml

from registry.clients import yaml_text
from registry.clients.edits import AddItem, AddRegistry, Kind, SetValue
from registry.clients.merging import merge, withdraw
from registry.settings.values import Refusal

URL = "http://10.0.0.5:5000"
MIRRORS = (AddItem(("registry-mirrors",), URL),)
ENDPOINT = (AddItem(("mirrors", "docker.io", "endpoint"), URL),)
HOST = (SetValue(("host", URL, "capabilities"), ("pull", "resolve"), is_first=True),)
BUILDKIT = (AddItem(("registry", "docker.io", "mirrors"), "10.0.0.5:5000"),)
HUB = AddRegistry("docker.io", "10.0.0.5:5000/docker.io", is_insecure=True)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ('{\n  "a": 1, // one\n  "b": 2\n}', 2, "a comment"),
        ('{\n  /* all */\n  "b": 2\n}', 2, "a comment"),
        ('# dockerd\n{\n  "b": 2\n}', 1, "a comment"),
        ('{\n  "a": 1,\n\n}\n', 2, "a comma after the last value"),
        ('{\n  "a": [\n    "x",\n  ]\n}\n', 3, "a comma after the last value"),
        ('{\n  "a": 1\n  "b": 2\n}\n', 3, "not JSON"),
        ('{"a": 1, "b": 2, "a": 3}', 0, '"a" twice'),
        ('["a"]', 0, "not an object"),
        ('{"registry-mirrors": "http://one.example.net"}', 0, "registry-mirrors is no list"),
    ],
)
def test_json_that_is_not_changed(text: str, line: int, why: str) -> None:
    """The reason is said in plain words, with the line if it has one."""
    with pytest.raises(Refusal, match=why) as caught:
        merge("json", text, MIRRORS)
    assert line == getattr(caught.value, "line", 0)


@pytest.mark.parametrize(
    ("kind", "text", "line", "why"),
    [
        ("toml", 'a = 1\nb = "x\n', 2, "not TOML"),
        ("toml", "host = 3\n", 0, "host is no table"),
        ("toml", 'host = {"x" = {}}\n', 0, "unusual way"),
        ("yaml", "a: 1\nb: [1\n", 3, "not YAML"),
        ("yaml", "- a\n", 0, "no settings with names"),
        ("yaml", "mirrors: 3\n", 0, "mirrors is no table"),
        ("yaml", "mirrors: {docker.io: {endpoint: http://x}}\n", 0, "is no list"),
    ],
)
def test_other_files_that_are_not_changed(kind: Kind, text: str, line: int, why: str) -> None:
    """So are those in other formats."""
    with pytest.raises(Refusal, match=why) as caught:
        merge(kind, text, ENDPOINT if kind == "yaml" else HOST)
    assert line == getattr(caught.value, "line", 0)


def test_a_list_with_comments_is_replaced_by_nobody() -> None:
    """The comments would be lost."""
    text = f'[host."{URL}"]\ncapabilities = [\n  "pull", # only\n]\n'
    with pytest.raises(Refusal, match="has comments, which would be lost"):
        merge("toml", text, HOST)


def test_another_entry_of_the_registry_is_not_changed() -> None:
    """Two entries for one registry are an error for podman."""
    with pytest.raises(Refusal, match=r"another \[\[registry\]\] of docker.io already"):
        merge("toml", '[[registry]]\nlocation = "docker.io"\n', (HUB,))


def test_a_mirror_that_is_listed_keeps_its_place() -> None:
    """The user has decided which mirror comes first."""
    text = json.dumps({"registry-mirrors": ["https://near.example.net", URL]})
    assert text == merge("json", text, MIRRORS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        'server = "https://x"\n',
        '[host]\n[host."https://other"]\n',
        "[host]\n",
        '# above\n[host."https://other"]\n[host."https://third"]',
    ],
)
def test_the_mirror_is_the_first_host(text: str) -> None:
    """containerd asks hosts in the order of the file."""
    assert next(iter(tomllib.loads(merge("toml", text, HOST))["host"])) == URL


def test_a_mirror_that_cannot_be_the_first_host_is_refused() -> None:
    """A table cannot stand before settings outside of tables."""
    with pytest.raises(Refusal, match="unusual way"):
        merge("toml", 'host."https://other".capabilities = ["pull"]\n', HOST)


@pytest.mark.parametrize(
    "text",
    [
        "mirrors:\n",
        "mirrors: {}\n",
        "mirrors: {registry.lan: {endpoint: [x]}}\n",
        "mirrors:\n  docker.io:\n",
        "mirrors:\n  docker.io: {}\nconfigs: {}\n",
        "mirrors:\n  docker.io:\n    endpoint: []\n",
        "mirrors:\n  docker.io:\n    endpoint:\n    - x\n    - y\n",
        "mirrors:\n  docker.io: {endpoint: [x, y]}",
        'mirrors:\n    "docker.io":\n          rewrite: {a: b}\n# end',
        "---\nmirrors:\n  registry.lan:\n    endpoint:\n      - x",
        "configs:\n  x: &x\n    auth: {username: a}\n  y: *x\n",
    ],
)
def test_yaml_in_its_many_forms(text: str) -> None:
    """The endpoint is the first one, the rest means what it meant, and undoing leads back."""
    changed = merge("yaml", text, ENDPOINT)
    assert yaml.safe_load(changed)["mirrors"]["docker.io"]["endpoint"][0] == URL
    assert changed == merge("yaml", changed, ENDPOINT)
    back = withdraw("yaml", changed, ENDPOINT, text)
    assert yaml_text.parse(text) == yaml_text.parse(back)


def test_only_our_part_is_withdrawn() -> None:
    """What others have added to the same list or table since stays, with its comments."""
    written = merge("toml", "", (*BUILDKIT, *HOST))
    edited = written.replace('["10.0.0.5:5000"]', '["10.0.0.5:5000", "theirs.example.net"]')
    edited += '\n# theirs\n[host."https://theirs"]\n'
    assert withdraw("toml", edited, (*BUILDKIT, *HOST), "") == (
        '[registry."docker.io"]\n  mirrors = ["theirs.example.net"]\n\n'
        '# theirs\n[host."https://theirs"]\n'
    )


def test_what_was_there_before_stays() -> None:
    """A value that was replaced comes back, and an item that the user had written stays."""
    path = SetValue(("plugins", "cri", "config_path"), "/etc/containerd/certs.d")
    text = '[plugins.cri]\nconfig_path = "" # none\n'
    edited = merge("toml", text, (path,)) + "more = 1\n"
    assert withdraw("toml", edited, (path,), text) == text + "more = 1\n"
    text = '[registry."docker.io"]\nmirrors = ["10.0.0.5:5000"]\n'
    assert text == withdraw("toml", merge("toml", text, BUILDKIT), BUILDKIT, text)


def test_comments_in_an_entry_stay() -> None:
    """Only the lines of the entry itself are removed."""
    written = merge("toml", "", (HUB,)).replace("location", "# theirs\nlocation", 1)
    assert withdraw("toml", written, (HUB,), "") == "# theirs\n"


def test_certificates_are_added_to_others() -> None:
    """A file of certificates may have several; ours goes, and the other one stays."""
    ours, other = ("-----BEGIN CERTIFICATE-----\n" + name + "\n" for name in ("ours", "other"))
    edits = (AddItem((), ours),)
    both = merge("pem", other, edits)
    assert (both, both) == (other + ours, merge("pem", both, edits))
    assert withdraw("pem", both, edits, other) == other


def test_a_mark_at_the_begin_stays() -> None:
    """Some editors of Windows write it."""
    changed = merge("json", "\ufeff{}", MIRRORS)
    assert changed == '\ufeff{\n  "registry-mirrors": ["http://10.0.0.5:5000"]\n}'
