"""The advice of a message is right in the situation in which it is given: it is followed here."""

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.commands import clean_environment
from tests.harness.import_side import APP, BASE, make_bundle, make_import_side
from tests.harness.mirror import MirrorProcess, run_command
from tests.integration.images import add_platforms, keep

pytestmark = pytest.mark.programs


HERE = "docker.io/advice/app:1"


def follow(mirror: MirrorProcess, message: str) -> subprocess.CompletedProcess[str]:
    """Run the command at the end of a message."""
    command = message.rstrip("\n").rpartition("entrepot ")[2]
    return mirror.run(*shlex.split(command))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("pin advice/app", f"app:latest is not stored here, but {HERE} is; name one of these, or"),
        ("pin advice/none:1", "docker.io/advice/none:1 is not stored here; run first: entrepot im"),
        ("pin advice/appp:1", f"advice/appp:1 is not stored here, but {HERE} is"),
        ("show advice/app", f"is not stored here, but {HERE} is; list what is stored: entrepot im"),
        ("rm advice/app:2", f"is not stored here, but {HERE} is; list what is stored: entrepot im"),
        ("unpin advice/app:1", "advice/app:1 is not pinned; list the images and their pins: entre"),
        ("unpin 'advice/*'", "no pinned image matches 'advice/*'; list the images and their pins:"),
        ("ls advice/none", "no stored image matches 'advice/none'; list what is stored: entrepot"),
        ("refresh 'advice/x*'", "no stored image matches 'advice/x*'; list what is stored: entrep"),
    ],
)
def test_an_image_that_is_not_here_is_answered_with_those_that_are(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, words: str, message: str
) -> None:
    """The message names images that may be meant, and a command that works."""
    keep(shared_mirror, shared_hub.add_image("advice/app", "1", [b"advice"]))
    for name, tag in (("none", "1"), ("app", "latest"), ("appp", "1")):
        shared_hub.add_image(f"advice/{name}", tag, [name.encode()])

    done = shared_mirror.run("images", *shlex.split(words))

    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert "warm" in done.stderr or follow(shared_mirror, done.stderr).returncode == 0


def test_the_advice_before_a_pin_is_followed(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """After the command of the message, the pin succeeds."""
    mirror = make_mirror()
    hub.add_image("advice/app", "latest", [b"advice"])
    refused = mirror.run("images", "pin", "advice/app")
    assert follow(mirror, refused.stderr).returncode == 0
    assert mirror.run("images", "pin", "advice/app").returncode == 0


def test_a_pinned_name_like_it_is_named(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Who unpins another tag learns which one is pinned."""
    mirror = make_mirror()
    keep(mirror, hub.add_image("advice/app", "1", [b"advice"]))
    mirror.run("images", "pin", "advice/app:1")
    done = mirror.run("images", "unpin", "advice/app")
    why = f"docker.io/advice/app:latest is not pinned, but {HERE} is; list"
    assert (done.returncode, why in done.stderr) == (1, True)


@pytest.mark.parametrize("platform", ["all", "arm64", "amd64,arm64"])
def test_what_is_missing_for_a_bundle_is_named_by_its_platform(
    make_mirror: MirrorMaker, hub: FakeUpstream, tmp_path: Path, platform: str
) -> None:
    """The message says which platform is not stored, and its command downloads it."""
    mirror = make_mirror()
    index, amd, _ = add_platforms(hub, "advice/multi")
    keep(mirror, index, amd)
    words = ("bundle", "create", "advice/multi:1", "-o", str(tmp_path / "b.tar"))

    refused = mirror.run(*words, "--platform", platform)

    assert refused.returncode == 1
    why = (
        "docker.io/advice/multi:1 is not stored completely: the manifest of linux/arm64 is missing"
    )
    assert why in refused.stderr
    assert follow(mirror, refused.stderr.splitlines()[0]).returncode == 0
    assert mirror.run(*words, "--platform", platform).returncode == 0


@pytest.mark.parametrize("command", ["pin", "refresh"])
def test_all_platforms_of_an_image_that_has_one(
    make_mirror: MirrorMaker, hub: FakeUpstream, command: str
) -> None:
    """`--platform all` means every platform that there is, also of an image without an index."""
    mirror = make_mirror()
    index, amd, arm = add_platforms(hub, "advice/multi")
    single = hub.add_image("advice/one", "1", [b"one"])
    keep(mirror, index, amd, arm, single)
    for name in ("advice/multi:1", "advice/one:1"):
        done = mirror.run("images", command, name, "--platform", "all")
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("images refresh advice/app:1", 2),
        ("images refresh advice/app:1 --dry-run", 2),
        ("images warm advice/app:1", 2),
        ("images pin advice/none:1", 1),
        ("bundle create advice/none:1 -o -", 1),
    ],
)
def test_offline_no_download_is_advised(
    make_mirror: MirrorMaker, hub: FakeUpstream, words: str, code: int
) -> None:
    """With `offline = true` no message advises a download, or denies an image that is stored."""
    mirror = make_mirror()
    keep(mirror, hub.add_image("advice/app", "1", [b"advice"]))
    mirror.stop()
    offline = {"ENTREPOT_OFFLINE": "true"}
    arguments = [*words.split(), "--config", str(mirror.config)]
    done = run_command(*arguments, environment=mirror.environment | offline)
    assert done.returncode == code
    assert "images warm" not in done.stderr
    assert "offline" in done.stderr
    assert ("is not stored here" in done.stderr) == ("none" in words)


@pytest.mark.parametrize(
    ("setting", "advice"),
    [
        ('limit = "1MB"', "storage.limit is only 1 MB; raise storage.limit\n"),
        ('reserve = "900TiB"', "lower storage.reserve, delete other files, or unpin images\n"),
    ],
)
async def test_too_little_space_names_the_setting_that_is_the_reason(
    tmp_path: Path, setting: str, advice: str
) -> None:
    """A disk that is too full is no reason to raise `storage.limit`."""
    (tmp_path / "b.tar").write_bytes(await make_bundle(tmp_path / "here", bytes(2_000_000)))
    config = await make_import_side(tmp_path, f"{setting}\n")
    done = run_command("bundle", "import", str(tmp_path / "b.tar"), "--config", str(config))
    assert done.returncode == 1
    assert done.stderr.endswith(advice)
    assert ("storage.limit" in done.stderr) == ("limit" in setting)


@pytest.mark.parametrize("size", ["100", "0050", "1.5", "0.5", "50.5 "])
def test_a_number_without_a_unit_evicts_nothing(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, size: str
) -> None:
    """100 may be meant as GiB: the command asks for a unit before it deletes everything."""
    keep(shared_mirror, shared_hub.add_image("advice/app", "1", [b"advice"]))
    done = shared_mirror.run("cache", "evict", "--to", size)
    assert (done.returncode, done.stdout) == (2, "")
    size = size.strip()
    assert f"--to: {size} has no unit; write for example {size}GiB, or {size}B" in done.stderr
    assert shared_mirror.run("images", "show", "advice/app:1").returncode == 0


COMMANDS = (
    "bundle verify NONE",
    "bundle info NONE",
    "bundle diff NONE BUNDLE",
    "bundle diff BUNDLE NONE",
    "bundle check NONE app:1",
    "bundle check BUNDLE app:1 --have NONE",
    "bundle check BUNDLE app:1 --since NONE",
    "bundle check BUNDLE -f NONE",
    "bundle join NONE -o OUT",
    "bundle import NONE",
    "bundle import BUNDLE --key NONE",
    "bundle verify BUNDLE --key NONE",
    "bundle serve NONE",
    "bundle create app:1 -o OUT --platform amd64 --sign NONE",
    "bundle create app:1 -o OUT --have NONE",
    "bundle create app:1 -o OUT --need NONE",
    "images warm -f NONE",
)


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_file_that_cannot_be_opened_is_answered_in_one_way(
    tmp_path: Path, command: str
) -> None:
    """Every command names the file and the reason in the same words, and exits with 2."""
    (tmp_path / "b.tar").write_bytes(await make_bundle(tmp_path / "data", BASE))
    config = await make_import_side(tmp_path)
    files = {"NONE": "none.tar", "BUNDLE": "b.tar", "OUT": "out.tar"}
    words = [str(tmp_path / files[word]) if word in files else word for word in command.split()]
    environment = clean_environment() | {"ENTREPOT_CONFIG": str(config)}
    done = run_command(*words, environment=environment)
    assert (done.returncode, done.stdout) == (2, "")
    why = f"entrepot: {tmp_path}/none.tar: cannot be read (No such file or directory); name "
    assert done.stderr.splitlines()[-1].startswith(why)
    assert APP not in done.stderr


def test_the_start_says_that_no_endpoint_is_trusted(
    make_mirror: MirrorMaker, hub: FakeUpstream
) -> None:
    """`serve` and `config check` say once that all stand for the registry, until one is named."""
    table = {"endpoints": [hub.url, hub.cdn_url]}
    line = 'upstreams."docker.io": no endpoint is the registry\'s own'
    mirror = make_mirror(upstreams={"docker.io": table}, workers=1)
    cured = make_mirror(upstreams={"docker.io": table | {"trusted": [hub.host]}}, workers=1)

    assert mirror.log().count(line) == 1
    assert mirror.run("config", "check").stdout.count(f"note: {line}") == 1
    assert line not in cured.log()
    assert line not in cured.run("config", "check").stdout
