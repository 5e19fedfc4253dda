"""What `bundle diff` says about layers that only one bundle contains, and about files of others."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.cli.main import build_cli
from registry.oci.digest import Digest
from tests.harness.import_side import make_bundle

BASE = bytes(2048)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image in a whole bundle, and in a delta without its first layer."""
    folder = tmp_path_factory.mktemp("delta")
    for name, have in (("whole", frozenset[Digest]()), ("delta", frozenset({Digest.of(BASE)}))):
        content = asyncio.run(make_bundle(folder / name, BASE, b"own", have=have))
        (folder / f"{name}.tar").write_bytes(content)
    return folder


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(build_cli(), ["bundle", *map(str, words)])


def test_omitted_layers_are_said_and_are_no_difference(site: Path) -> None:
    """Whoever has only the delta needs the other bundle too, though both have the same images."""
    whole, delta = site / "whole.tar", site / "delta.tar"
    done = run("diff", whole, delta)
    assert (done.exit_code, run("diff", delta, delta).stdout) == (0, "no difference\n")
    assert done.stdout == "~ NEW omits 1 layer, 2 KiB, that OLD has\nno other difference\n"
    facts = json.loads(run("diff", delta, whole, "--json").stdout)
    assert facts["new_omits"] == {"blobs": 0, "size": 0}
    assert (facts["same"], facts["old_omits"]) == (True, {"blobs": 1, "size": 2048})


def test_a_short_text_is_not_called_a_cut_tar(tmp_path: Path) -> None:
    """It is shorter than the header of a tar, and somebody has named the wrong file."""
    (tmp_path / "deploy.yaml").write_text("kind: Pod\n")
    done = run("verify", tmp_path / "deploy.yaml")
    what = "it is not a bundle (it is not a tar file)"
    cure = "name the file that entrepot bundle create wrote"
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"entrepot: {tmp_path / 'deploy.yaml'}: {what}; {cure}\n"
