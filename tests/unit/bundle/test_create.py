"""`entrepot bundle create` and `join`, as operators run them, on a data folder without a server."""

import asyncio
import json
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.bundle.format.inventory import write_inventory, write_need
from registry.cli.main import build_cli
from registry.oci.digest import Digest
from tests.harness.filled_folder import open_filled

KIB, MIB = 1024, 1024 * 1024
SHARED, SMALL, LARGE = (random.Random(n).randbytes(s) for n, s in ((1, 900), (2, 70), (3, 3 * MIB)))


def run(*words: str) -> Result:
    """Run a command in this process, since a new process starts more slowly."""
    done = CliRunner().invoke(build_cli(), words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@dataclass(frozen=True)
class Place:
    """A data folder's configuration, and a folder to write to."""

    config: Path
    out: Path

    def create(self, *words: str, code: int = 0) -> Result:
        done = run("bundle", "create", *words, "--config", str(self.config))
        assert done.exit_code == code, done.output
        return done

    def write(self, name: str, *words: str) -> bytes:
        self.create("-o", str(self.out / name), *words)
        return (self.out / name).read_bytes()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a data folder with images."""
    folder = tmp_path_factory.mktemp("filled")
    asyncio.run(put_images(folder / "data"))
    path = folder / "entrepot.toml"
    path.write_text(f"storage.path = {json.dumps(str(folder / 'data'))}\n")
    return path


async def put_images(data: Path) -> None:
    """Two images that share a layer, one of them for two platforms and signed."""
    async with open_filled(data) as filled:
        amd = await filled.put_image("docker.io/library/app", [SHARED, LARGE])
        arm = await filled.put_image("docker.io/library/app", [SHARED], platform="linux/arm64")
        both = {"linux/amd64": amd, "linux/arm64": arm}
        root = await filled.put_index("docker.io/library/app:1", both)
        await filled.put_image("ghcr.io/team/tool:2", [SHARED, SMALL])
        subject = {"mediaType": root.media_type, "digest": str(root.digest), "size": len(root.raw)}
        await filled.put_image("docker.io/library/app", [b"an SBOM"], subject=subject)
        tag = str(root.digest).replace(":", "-")
        await filled.put_image(f"docker.io/library/app:{tag}.sig", [b"a cosign signature"])


@pytest.fixture
def place(config: Path, tmp_path: Path) -> Place:
    return Place(config, tmp_path)


AMD = ("--platform", "linux/amd64")


def test_the_same_images_give_the_same_bytes(place: Place) -> None:
    """The order and the spelling of names, and the day, change no byte."""
    first = place.write("a.tar", "app:1", "ghcr.io/team/tool:2", *AMD)
    second = place.write("b.tar", "ghcr.io/*", "docker.io/library/app:1", *AMD)
    assert first == second


def test_stdout_gets_the_same_bytes(place: Place) -> None:
    """With `-o -` stdout is the tar and nothing else."""
    expected = place.write("a.tar", "app:1", *AMD)
    words = ["bundle", "create", "-o", "-", "app:1", *AMD, "--config", str(place.config)]
    command = [sys.executable, "-m", "registry", *words]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert expected == done.stdout
    assert b"readable by: " in done.stderr


def test_files_name_images_as_they_do_for_warm(place: Place) -> None:
    """A compose file with a variable of the .env beside it names the same image as a plain word."""
    (place.out / ".env").write_text("VERSION=1\n")
    compose = place.out / "compose.yaml"
    compose.write_text('services: {web: {image: "app:${VERSION}"}}')
    by_name, by_file = (
        json.loads(place.create("-o", f"{place.out}/{folder}/", *words, "--json", *AMD).stdout)
        for folder, words in (("a", ["app:1"]), ("b", ["-f", str(compose)]))
    )
    names, found = ([each["name"] for each in facts["images"]] for facts in (by_name, by_file))
    assert names == found
    (first, *_) = json.loads((place.out / "b" / "bundle.json").read_text())["images"]
    assert first["sources"] == ["compose.yaml:1 service web"]


def test_platforms_that_an_image_does_not_have_are_reported(place: Place) -> None:
    """The image is in the bundle for the platforms that it has; `all` gives a complete bundle."""
    words = ("app:1", "--platform", "s390x,amd64", "--platform", "arm64")
    done = place.create("-o", f"{place.out}/three.tar", *words)
    remark = "app:1 is not made for linux/s390x: its other platforms are used"
    assert f"docker.io/library/{remark}" in done.stderr
    two = place.write("two.tar", "app:1", "--platform", "linux/amd64,linux/arm64")
    assert (place.out / "three.tar").read_bytes() == two
    complete = place.write("complete.tar", "app:1", "--mode", "complete")
    assert place.write("all.tar", "app:1", "--platform", "all") == complete


def test_a_guess_that_is_not_stored_is_no_failure(place: Place) -> None:
    """A guess that names no stored image gives a note, and the rest of the bundle is written."""
    custom = place.out / "custom.yaml"
    custom.write_text("apiVersion: x/v1\nkind: Thing\nspec: {image: 'nowhere/to/be:found'}\n")
    done = place.create("-o", f"{place.out}/a.tar", "app:1", "-f", str(custom), *AMD)
    assert "docker.io/nowhere/to/be:found is not stored here; it only looks like" in done.stderr


def test_a_folder_has_the_same_files(place: Place) -> None:
    """The folder has the files of the tar, and none of a bundle whose writing was interrupted."""
    place.create("-o", f"{place.out}/folder/", "app:1", *AMD)
    (place.out / "folder" / "bundle.json").unlink()  # it is written last
    place.create("-o", f"{place.out}/folder", "ghcr.io/team/tool:2")
    place.write("b.tar", "ghcr.io/team/tool:2")
    subprocess.run(["tar", "-xf", "b.tar", "--one-top-level"], cwd=place.out, check=True)
    done = subprocess.run(["diff", "-r", "folder", "b"], cwd=place.out, check=False)
    assert done.returncode == 0


def test_a_folder_with_other_files_is_not_changed(place: Place) -> None:
    """A file that no bundle has is never removed."""
    precious = place.out / "folder" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years")
    done = place.create("-o", str(precious.parent), "app:1", code=1)
    assert f"{precious}: is not a file of a bundle" in done.stderr
    assert [precious] == [*precious.parent.iterdir()]


def test_missing_images_are_reported_and_the_others_written(place: Place) -> None:
    """A missing image gives exit code 1 and a line with what helps; the others are written."""
    done = place.create("-o", str(place.out / "a.tar"), "nosuch:1", "app:1", *AMD, code=1)
    assert "entrepot images warm docker.io/library/nosuch:1" in done.stderr
    assert "written without 1 image" in done.stderr
    assert place.write("b.tar", "app:1", *AMD) == (place.out / "a.tar").read_bytes()


def test_nothing_is_written_without_images(place: Place) -> None:
    """If no image is stored, no file is written."""
    place.create("-o", str(place.out / "a.tar"), "nosuch:1", code=1)
    place.create("-o", str(place.out / "a.tar"), code=2)
    assert [*place.out.iterdir()] == []


def test_a_plan_says_what_would_be_written(place: Place) -> None:
    """A dry run lists images, platforms, sizes and what only one image needs; it writes no file."""
    words = ("-o", str(place.out / "a.tar"), "app:1", "ghcr.io/team/tool:2", *AMD)
    planned = json.loads(place.create(*words, "--dry-run", "--json").stdout)
    assert [*place.out.iterdir()] == []
    assert "UNIQUE" in place.create(*words, "--dry-run").stdout
    written = json.loads(place.create(*words, "--json").stdout)
    assert planned["size"] == (place.out / "a.tar").stat().st_size == written["size"]
    images = {each["name"]: each for each in planned["images"]}
    app, tool = images["docker.io/library/app:1"], images["ghcr.io/team/tool:2"]
    assert (app["platforms"], app["missing_platforms"]) == (["linux/amd64"], ["linux/arm64"])
    assert tool["platforms"] == ["linux/amd64"]
    assert tool["size"] - tool["unique"] == len(SHARED)


def test_signatures_and_sboms_are_included(place: Place) -> None:
    """Referrers, and the tags by which cosign finds signatures, are in the bundle."""
    place.write("a.tar", "app:1", *AMD)
    content = (place.out / "a.tar").read_bytes()
    assert b"an SBOM" in content
    assert b"a cosign signature" in content


def test_lists_say_where_images_were_asked_for(place: Place) -> None:
    """`-f` reads files that ask for images; the lock has the file and line, and not the folder."""
    (place.out / "images.txt").write_text("# ours\nghcr.io/team/tool:2\n")
    place.write("a.tar", "-f", str(place.out / "images.txt"))
    names = ["tar", "-xOf", str(place.out / "a.tar"), "bundle.json"]
    lock = json.loads(subprocess.run(names, capture_output=True, check=True).stdout)
    assert lock["images"][0]["sources"] == ["images.txt:2"]


@pytest.fixture
def volumes(place: Place) -> list[Path]:
    """A bundle in volumes of 1 MiB, of which one blob needs several."""
    place.create("-o", str(place.out / "v.tar"), "--volume-size", "1MiB", "app:1", *AMD)
    return sorted(place.out.glob("v-*.tar"))


def test_volumes_fit_and_have_checksums(place: Place, volumes: list[Path]) -> None:
    """No volume is larger than the option allows, and `sha256sum -c` accepts each."""
    assert [f"v-{n:04}-of-0004.tar" for n in range(1, 5)] == [path.name for path in volumes]
    assert max(path.stat().st_size for path in volumes) <= MIB
    command = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    done = subprocess.run(command, cwd=place.out, capture_output=True, text=True, check=True)
    assert done.stdout.count(": OK") == len(volumes)


def test_joined_volumes_are_the_one_file(place: Place, volumes: list[Path]) -> None:
    """`join` writes the same bytes as `create`, from volumes in any order."""
    whole = place.write("whole.tar", "app:1", *AMD)
    done = run("bundle", "join", *map(str, reversed(volumes)), "-o", str(place.out / "j.tar"))
    assert (done.exit_code, done.stderr) == (0, "")
    assert whole == (place.out / "j.tar").read_bytes()


def test_a_missing_volume_is_named(place: Place, volumes: list[Path]) -> None:
    """The message has the number of the missing volume, and nothing is written."""
    done = run("bundle", "join", *map(str, volumes[:2] + volumes[3:]), "-o", f"{place.out}/j.tar")
    assert done.exit_code == 1
    assert "volume 3 of 4 is missing; name all volumes" in done.stderr
    assert not (place.out / "j.tar").exists()


def test_volumes_of_two_bundles_do_not_mix(place: Place, volumes: list[Path]) -> None:
    """If volumes of another bundle have the same names, nothing is written."""
    words = ("-o", str(place.out / "v.tar"), "--volume-size", "2MiB", "app:1", *AMD)
    assert "is a volume of another bundle" in place.create(*words, code=1).stderr


@pytest.mark.parametrize(
    ("words", "code", "output"),
    [
        (("--volume-size", "10K"), 2, "volumes of 10000 bytes are too small"),
        (("--volume-size", "big"), 2, "fat32 or dvd"),
        (("--platform", "Windows"), 2, "write amd64, linux/amd64 or linux/arm/v7"),
        (("--platform", "linux/s390x"), 1, "but for linux/amd64, linux/arm64"),
        (("--mode", "flat", "--platform", "linux/amd64,linux/arm64"), 1, "docker.io/library/app:1"),
        (("--mode", "flat", "--platform", "all"), 2, "flat takes one platform, not all"),
        (("--sign", "/nowhere.pem"), 2, "/nowhere.pem"),
        (("--have", "/nowhere.json"), 2, "/nowhere.json"),
    ],
)
def test_errors_are_one_line(place: Place, words: tuple[str, ...], code: int, output: str) -> None:
    """One line says what is wrong; nothing is written."""
    done = place.create("-o", str(place.out / "a.tar"), "app:1", *words, code=code)
    assert output in done.stderr
    assert [*place.out.iterdir()] == []


def test_openssl_accepts_the_signature(place: Place) -> None:
    """The openssl program alone can check the signature of a bundle."""

    def shell(command: str) -> str:
        return subprocess.check_output(command.split(), cwd=place.out, text=True)

    shell("openssl genpkey -algorithm ed25519 -out key.pem")
    shell("openssl pkey -in key.pem -pubout -out pub.pem")
    place.write("a.tar", "app:1", *AMD, "--sign", str(place.out / "key.pem"))
    listed = shell("tar -tf a.tar").split()
    assert listed[listed.index("bundle.json") + 1] == "bundle.json.sig"
    shell("tar -xf a.tar bundle.json bundle.json.sig")
    check = "openssl pkeyutl -verify -pubin -inkey pub.pem -rawin -in bundle.json"
    assert "Verified Successfully" in shell(f"{check} -sigfile bundle.json.sig")
    done = run("bundle", "verify", "--key", f"{place.out}/pub.pem", f"{place.out}/a.tar")
    assert done.exit_code == 0, done.output


def test_layers_of_the_other_side_are_omitted(place: Place) -> None:
    """`--since` and `--have` omit layers, and the lock has the ids of the documents."""
    place.write("base.tar", "ghcr.io/team/tool:2")
    (place.out / "have.json").write_bytes(write_inventory([(Digest.of(LARGE), len(LARGE))]))
    base, have = str(place.out / "base.tar"), str(place.out / "have.json")
    words = ("-o", str(place.out / "a.tar"), "app:1", *AMD, "--json")
    facts = json.loads(place.create(*words, "--since", base, "--have", have).stdout)
    assert facts["omitted"] == {"blobs": 2, "size": len(SHARED) + len(LARGE)}
    assert facts["readers"].startswith("readable by: entrepot bundle import\nnot readable by: d")
    content = (place.out / "a.tar").read_bytes()
    assert SHARED not in content
    assert str(Digest.of((place.out / "have.json").read_bytes())).encode() in content


def test_a_need_is_met_exactly(place: Place) -> None:
    """`--need` includes its images, the incomplete platforms, and only the missing layers."""
    (place.out / "need.json").write_bytes(
        write_need("sha256:0", ["docker.io/library/app:1"], [(Digest.of(LARGE), len(LARGE))])
    )
    words = ("-o", str(place.out / "a.tar"), "--need", str(place.out / "need.json"), "--json")
    facts = json.loads(place.create(*words).stdout)
    (app,) = (each for each in facts["images"] if not each["signature_tag"])
    assert app["platforms"] == ["linux/amd64"]
    assert LARGE[:4096] in (content := (place.out / "a.tar").read_bytes())
    assert SHARED not in content
