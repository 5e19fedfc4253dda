"""Commands know an upstream by the same names as pulls do, and print its own name."""

import json
from pathlib import Path

from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.commands import run_command
from tests.integration.images import run_json

LAN, ALIAS = "registry.lan:5000", "registry.lan"


def test_commands_take_aliases(make_mirror: MirrorMaker, hub: FakeUpstream, tmp_path: Path) -> None:
    """Names, globs, image lists and bundles may use an alias; what is printed is the own name."""
    table = {"endpoints": [hub.url], "aliases": [ALIAS]}
    mirror = make_mirror(upstreams={"docker.io": hub.url, LAN: table}, workers=1)
    hub.add_image("team/app", "1", [b"app"])
    hub.add_image("library/nginx", "latest", [b"nginx"])
    deploy, bundle = tmp_path / "images.txt", str(tmp_path / "images.tar")
    deploy.write_text(f"index.docker.io/library/nginx\n{ALIAS}/team/app:1\n")

    warmed = mirror.run("images", "warm", "index.docker.io/library/nginx", f"{ALIAS}/team/app:1")
    by_file = run_json(mirror, "images", "warm", "-f", str(deploy))
    listed = mirror.run("images", "ls", f"{ALIAS}/*", "--quiet")
    created = mirror.run("bundle", "create", "-o", bundle, "-f", str(deploy), f"{ALIAS}/team/*")
    info = json.loads(run_command("bundle", "info", bundle, "--json").stdout)
    checked = mirror.run("bundle", "check", bundle, f"{ALIAS}/team/app:1", "-f", str(deploy))

    own = f"{LAN}/team/app:1"
    assert warmed.returncode == 0, warmed.stderr
    assert f"{own}: " in warmed.stdout
    assert [each["image"] for each in by_file["images"]] == [
        "docker.io/library/nginx:latest",
        own,
    ]
    assert listed.stdout == f"{own}\n"
    assert created.returncode == 0, created.stderr
    assert sorted(each["name"] for each in info["images"]) == [
        "docker.io/library/nginx:latest",
        own,
    ]
    assert checked.returncode == 0, checked.stdout
    for command in ("show", "pin", "refresh", "unpin", "rm"):
        done = mirror.run("images", command, f"{ALIAS}/team/app:1")
        assert (done.returncode, own in done.stdout) == (0, True), (command, done.stderr)
