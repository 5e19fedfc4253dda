"""Laws of the settings themselves: defaults, limits, secrets, printing."""

import json
import math
import pickle
import re
import tomllib
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import pytest

from registry.settings.fields import Section
from registry.settings.loading import load_settings
from registry.settings.model import ServerSettings, Settings, StorageSettings, TagSettings
from registry.settings.secret import Secret
from registry.settings.tables import dump, read_table
from registry.settings.upstreams import UpstreamSettings
from registry.settings.values import Address

README = Path(__file__).parents[3] / "README.md"
SHIPPED = README.parent / "config" / "entrepot.toml"
MODELS = Section.__subclasses__()


def build_upstream(**values: object) -> UpstreamSettings:
    return read_table(UpstreamSettings, {"endpoints": ["https://h.example"]} | values)


def test_shipped_file_says_the_defaults() -> None:
    """config/entrepot.toml has the same settings as the defaults; the data is beside it."""
    settings = load_settings(SHIPPED, {})

    assert settings.storage.path == SHIPPED.parents[1] / Settings().storage.path
    storage = replace(settings.storage, path=Settings().storage.path)
    assert Settings() == replace(settings, storage=storage)


def test_keep_for_may_name_an_alias() -> None:
    """Its patterns are compared with the registries' own names."""
    storage = {"keep_for": {"index.docker.io/library/*": "30d", "*": "90d"}}
    settings = read_table(Settings, {"storage": storage})

    assert settings.keep_for == {"docker.io/library/*": 30 * 86400.0, "*": 90 * 86400.0}


def test_readme_shows_the_table_that_the_file_has() -> None:
    """The README says that the file has its table already; only the nearer mirror is added."""
    text = README.read_text("utf-8")
    (block,) = re.findall(r'```toml\n(\[upstreams\."docker\.io"\]\n.*?)```', text, re.DOTALL)
    shown = tomllib.loads(block)["upstreams"]["docker.io"]
    shipped = tomllib.loads(SHIPPED.read_text("utf-8"))["upstreams"]["docker.io"]

    assert set(shipped["endpoints"]) < set(shown["endpoints"])
    for key in shown.keys() - {"endpoints"}:
        assert shown[key] == shipped[key], key


@pytest.mark.parametrize("model", MODELS)
def test_shipped_file_mentions_every_setting(model: type[Section]) -> None:
    """No setting is left out of config/entrepot.toml."""
    text = SHIPPED.read_text("utf-8")

    missing = [each.name for each in fields(model) if not re.search(rf"\b{each.name}\b", text)]

    assert missing == []


def test_shipped_file_has_no_path_that_must_exist() -> None:
    """The examples in config/entrepot.toml are comments: it loads on any machine."""
    tables = tomllib.loads(SHIPPED.read_text("utf-8"))

    assert list(tables["upstreams"]) == ["docker.io"]


def test_commented_examples_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example in config/entrepot.toml can be uncommented and used."""
    examples = re.findall(
        r"^#     (\[upstreams.*(?:\n#     .*)*)", SHIPPED.read_text("utf-8"), re.MULTILINE
    )
    text = "\n".join(examples).replace("#     ", "")
    for name in ("/run/secrets/registry.example.com", "/etc/entrepot/example-ca.pem"):
        assert name in text
        text = text.replace(name, str(tmp_path / "file"))
    (tmp_path / "file").write_text("secret")
    (tmp_path / "some.toml").write_text(text)

    settings = load_settings(tmp_path / "some.toml", {})

    assert settings.upstreams["registry.lan:5000"].endpoints == ("http://registry.lan:5000",)
    assert settings.upstreams["registry.example.com"].username == "robot"
    assert settings.upstreams["ghcr.io"].proxy == "socks5://127.0.0.1:1080"


def test_defaults_are_those_documented() -> None:
    """Names and defaults that other people's scripts rely on stay the same."""
    settings = Settings()

    assert settings.offline is False
    assert settings.server.listen == Address("127.0.0.1", 5000)
    assert settings.server.console == Address("127.0.0.1", 5001)
    assert settings.server.workers == 0
    assert (settings.storage.path, settings.storage.limit) == (Path("data"), 50 * 1024**3)
    assert settings.storage.reserve == 1024**3
    assert (settings.tags.fresh_for, settings.tags.missing_for) == (60.0, 10.0)
    assert settings.tags.stale_for == math.inf
    assert settings.access.mode == "open"


def test_builtin_upstreams() -> None:
    """Eight registries are mirrored without being configured, Docker Hub by default."""
    upstreams = Settings().upstreams

    names = "docker.io ghcr.io quay.io gcr.io registry.k8s.io mcr.microsoft.com public.ecr.aws"
    assert list(upstreams) == [*names.split(), "nvcr.io"]
    assert Settings().default_upstream == "docker.io"
    assert upstreams["docker.io"].endpoints == ("https://registry-1.docker.io",)
    assert upstreams["docker.io"].auth_realms == ("auth.docker.io",)
    assert upstreams["docker.io"].aliases == ("index.docker.io", "registry-1.docker.io")
    assert upstreams["quay.io"] == build_upstream(endpoints=["https://quay.io"])


def test_settings_cannot_be_changed() -> None:
    """Settings cannot be changed after they are made."""
    with pytest.raises(FrozenInstanceError):
        Settings().server.workers = 5  # type: ignore[misc]


def test_settings_reach_other_processes() -> None:
    """Settings can be pickled and unpickled, with their secrets and patterns."""
    settings = Settings(
        tags=read_table(TagSettings, {"immutable": [r"v\d+"]}),
        upstreams={"h.example": build_upstream(default=True, password=Secret("hunter2"))},
    )

    assert settings == pickle.loads(pickle.dumps(settings))


@pytest.mark.parametrize(
    ("tag", "immutable"),
    [("v1.2", True), ("v1", False), ("xv1.2", False), ("v1.2-rc", False), ("v1.2\n", False)],
)
def test_immutable_matches_the_whole_tag(tag: str, immutable: bool) -> None:
    """A pattern has to match the whole tag, not a part of it."""
    tags = read_table(TagSettings, {"immutable": [r"sha-.*", r"v\d\.\d"]})

    assert immutable is tags.is_immutable(tag)


def test_nothing_shows_a_secret() -> None:
    """Neither printing nor dumping settings shows a password."""
    upstream = build_upstream(
        default=True, proxy="http://u:hunter2@h:1", password=Secret("hunter2")
    )
    settings = Settings(upstreams={"h.example": upstream})

    table = dump(settings)["upstreams"]["h.example"]

    assert "hunter2" not in f"{settings!r} {settings} {dump(settings)}"
    assert (table["password"], table["proxy"]) == ("********", "http://u:********@h:1")


def test_dump_reads_the_same() -> None:
    """The JSON of a dump can be loaded to the same settings."""
    settings = Settings(
        offline=True,
        server=ServerSettings(listen=Address("::1", 0)),
        storage=StorageSettings(limit=500_000_001),
        tags=read_table(TagSettings, {"immutable": [r"v\d+"], "fresh_for": 0.5}),
    )

    assert settings == read_table(Settings, json.loads(json.dumps(dump(settings))))


def test_dump_is_for_people() -> None:
    """Sizes and durations are dumped as people write them."""
    tables = dump(Settings())

    assert tables["storage"] == {
        "path": "data",
        "limit": "50GiB",
        "reserve": "1GiB",
        "audit_rate": "8MiB",
        "keep_for": {},
        "keep_pulled": "60s",
    }
    assert tables["tags"]["stale_for"] == "forever"
    assert tables["server"]["listen"] == "127.0.0.1:5000"
    assert "password" not in tables["upstreams"]["docker.io"]


def test_upstreams_given_replace_the_builtin_ones() -> None:
    """Code that makes settings with upstreams gets exactly these."""
    settings = Settings(upstreams={"h.example": build_upstream(default=True)})

    assert list(settings.upstreams) == ["h.example"]
