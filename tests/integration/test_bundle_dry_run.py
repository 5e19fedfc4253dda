"""A dry run of `bundle import` says what the import will say, and exits as it will."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from registry.bundle.format.inventory import write_need
from registry.oci.digest import Digest
from tests.harness.bundles import write_bundle, write_volumes
from tests.harness.commands import run_command
from tests.harness.filled_folder import open_filled
from tests.harness.import_side import (
    APP,
    BASE,
    LAYER,
    make_bundle,
    make_import_side,
    run,
    sign_bundle,
)

TOOL = "ghcr.io/team/tool:2"
Situation = Callable[[Path, Path], Awaitable[list[str]]]


async def plain(site: Path, _: Path) -> list[str]:
    """One bundle, and nothing is stored."""
    (site / "b.tar").write_bytes(await make_bundle(site / "here", BASE, LAYER))
    return [str(site / "b.tar")]


async def already_here(site: Path, config: Path) -> list[str]:
    """The same bundle was imported before."""
    words = await plain(site, config)
    run(config, "import", *words)
    return words


async def partly_here(site: Path, config: Path) -> list[str]:
    """One of the layers is stored for another image."""
    async with open_filled(site / "data") as there:
        await there.put_image(TOOL, [BASE])
    return await plain(site, config)


async def moved(site: Path, config: Path) -> list[str]:
    """The tag leads to another image here."""
    async with open_filled(site / "data") as there:
        await there.put_image(APP, [b"former"])
    return await plain(site, config)


async def moved_back(site: Path, config: Path) -> list[str]:
    """A bundle that was imported before another one that moved its tag."""
    words = await plain(site, config)
    (site / "june.tar").write_bytes(await make_bundle(site / "june", b"june"))
    run(config, "import", *words)
    run(config, "import", str(site / "june.tar"))
    return words


async def moved_back_on_purpose(site: Path, config: Path) -> list[str]:
    """The same, with the option that allows it."""
    return [*await moved_back(site, config), "--move-back"]


async def make_volumes(site: Path) -> list[Path]:
    async with open_filled(site / "here") as here:
        await here.put_image(APP, [os.urandom(300_000), LAYER])
        await here.put_image(TOOL, [LAYER])
        return await write_volumes(here, [APP, TOOL], site, 96 * 1024)


async def all_volumes(site: Path, _: Path) -> list[str]:
    """All volumes at once."""
    return list(map(str, await make_volumes(site)))


async def missing_volume(site: Path, _: Path) -> list[str]:
    """All volumes but one, which has a part of a blob."""
    return list(map(str, (await make_volumes(site))[:-1]))


async def last_volume(site: Path, config: Path) -> list[str]:
    """The last volume, after the others were imported."""
    *others, last = await make_volumes(site)
    run(config, "import", *map(str, others), "--need", str(site / "n.json"), code=1)
    return [str(last)]


async def same_volume_again(site: Path, config: Path) -> list[str]:
    """A volume that was imported before, while others are still missing."""
    *_, last = await make_volumes(site)
    run(config, "import", str(last), "--need", str(site / "n.json"), code=1)
    return [str(last)]


async def omitted(site: Path, _: Path) -> list[str]:
    """A delta whose omitted layer is not stored."""
    have = frozenset({Digest.of(BASE)})
    (site / "b.tar").write_bytes(await make_bundle(site / "here", BASE, LAYER, have=have))
    return [str(site / "b.tar")]


async def omitted_and_here(site: Path, config: Path) -> list[str]:
    """A delta whose omitted layer is stored, and the need.json of an earlier import."""
    async with open_filled(site / "data") as there:
        await there.put_blob(BASE)
    (site / "need.json").write_bytes(
        write_need("sha256:" + "0" * 64, [APP], [(Digest.of(BASE), len(BASE))])
    )
    return await omitted(site, config)


async def cut_off(site: Path, config: Path) -> list[str]:
    """A copy that ends in the middle."""
    (path,) = map(Path, await plain(site, config))
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.index(BASE) + 4567])
    return [str(path)]


async def cut_off_in_a_manifest(site: Path, config: Path) -> list[str]:
    """A copy that ends in the first manifest."""
    (path,) = map(Path, await plain(site, config))
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.index(b'{"schemaVersion"', raw.index(b"blobs/sha256/")) + 10])
    return [str(path)]


async def cut_off_volume(site: Path, _: Path) -> list[str]:
    """All volumes, of which one ends in a part of a blob."""
    volumes = await make_volumes(site)
    volumes[-1].write_bytes(volumes[-1].read_bytes()[:-20_000])
    return list(map(str, volumes))


async def volume_that_cannot_be_opened(site: Path, _: Path) -> list[str]:
    """All volumes, of which one is named wrongly."""
    return [*map(str, (await make_volumes(site))[:-1]), str(site / "none.tar")]


async def folder(site: Path, _: Path) -> list[str]:
    """A bundle in a folder."""
    await make_bundle(site / "here", BASE, LAYER)
    config = site / "here.toml"
    config.write_text(f'storage.path = "{site}/here"\n')
    words = ("create", APP, "-o", f"{site}/unpacked/", "--platform", "amd64")
    run(config, *words)
    return [str(site / "unpacked")]


async def damaged_manifest(site: Path, config: Path) -> list[str]:
    """A manifest whose bytes have changed."""
    (path,) = map(Path, await plain(site, config))
    raw = path.read_bytes()
    at = raw.index(b'{"schemaVersion"', raw.index(b"blobs/sha256/"))
    path.write_bytes(raw[:at] + b" " + raw[at + 1 :])
    return [str(path)]


async def signed(site: Path, config: Path) -> list[str]:
    """A signed bundle, and no key to check it with."""
    (path,) = map(Path, await plain(site, config))
    path.write_bytes(sign_bundle(path.read_bytes(), site / "ours")[0])
    return [str(path)]


async def signed_and_checked(site: Path, config: Path) -> list[str]:
    """A signed bundle, and its key."""
    return [*await signed(site, config), "--key", str(site / "ours.pub.pem")]


async def unwritable_need(site: Path, config: Path) -> list[str]:
    """A delta whose layer is missing, and no folder for need.json."""
    return [*await omitted(site, config), "--need", str(site / "none" / "need.json")]


async def too_large(site: Path, config: Path) -> list[str]:
    """A bundle that does not fit."""
    del config
    await make_import_side(site, 'limit = "1MB"\n')
    (site / "b.tar").write_bytes(await make_bundle(site / "here", os.urandom(2_000_000)))
    return [str(site / "b.tar")]


def strip(text: str) -> str:
    """Return what a dry run says as the import says it."""
    text = text.replace("would be listed", "are listed").replace("would be ", "")
    text = text.replace("run this without --dry-run, carry", "carry")
    text = text.replace("would remove ", "removed ").replace("would store ", "stored ")
    return text.replace("are stored already", "were stored before")


@pytest.mark.parametrize(
    ("situation", "code", "said"),
    [
        (plain, 0, f"imported: {APP}  linux/amd64\n"),
        (already_here, 0, "already stored: 1 image\n"),
        (partly_here, 0, "; 78.1 KiB were stored before\n"),
        (moved, 0, f"tag moved: {APP} from sha256:"),
        (moved_back, 1, f"it would move this tag back: {APP}. Nothing was imported."),
        (moved_back_on_purpose, 0, f"tag moved back: {APP} from sha256:"),
        (all_volumes, 0, f"imported: {TOOL}  linux/amd64\n"),
        (missing_volume, 1, "was not given now\n"),
        (last_volume, 0, f"imported: {APP}"),
        (same_volume_again, 1, "were not given now\n"),
        (omitted, 1, f"incomplete: {APP}: missing 1 blob, 78.1 KiB\n"),
        (omitted_and_here, 0, "nothing in it is missing any more"),
        (cut_off, 1, "it ends too early, at byte "),
        (cut_off_in_a_manifest, 1, "it ends too early, at byte "),
        (cut_off_volume, 1, "it ends too early, at byte "),
        (volume_that_cannot_be_opened, 1, "none.tar: cannot be read (No such file or directory)"),
        (folder, 0, f"imported: {APP}  linux/amd64\n"),
        (damaged_manifest, 1, "damaged: blobs/sha256/"),
        (signed, 0, "the signature of the bundle was not checked; check it: entrepot bundle "),
        (signed_and_checked, 0, f"imported: {APP}"),
        (unwritable_need, 1, "cannot be written (No such file or directory); name another file"),
        (too_large, 1, "raise storage.limit"),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
async def test_a_dry_run_says_what_the_import_says(
    tmp_path: Path, situation: Situation, code: int, said: str
) -> None:
    """Output, messages, JSON and exit code are the same, and the dry run changes nothing."""
    config = await make_import_side(tmp_path)
    words = ["bundle", "import", *await situation(tmp_path, config), "--config", str(config)]
    if "--need" not in words:
        words += ["--need", str(tmp_path / "need.json")]
    before = list_files(tmp_path / "data")

    tried = run_command(*words, "--dry-run")
    facts = run_command(*words, "--dry-run", "--json")
    unchanged = list_files(tmp_path / "data")
    done = run_command(*words)

    assert before == unchanged
    assert (tried.returncode, done.returncode) == (code, code)
    assert strip(tried.stdout) == done.stdout
    assert strip(tried.stderr) == done.stderr
    assert said in done.stdout + done.stderr
    assert facts.returncode == code


@pytest.mark.parametrize("situation", [plain, moved, missing_volume, omitted, already_here])
async def test_its_json_is_that_of_the_import(tmp_path: Path, situation: Situation) -> None:
    """Only the field `dry_run` differs."""
    config = await make_import_side(tmp_path)
    words = [*await situation(tmp_path, config), "--need", str(tmp_path / "need.json")]
    code = int(situation in (missing_volume, omitted))

    tried: dict[str, Any] = run(config, "import", *words, "--dry-run", code=code)
    done = run(config, "import", *words, code=code)

    assert (tried.pop("dry_run"), done.pop("dry_run")) == (True, False)
    assert tried == done


async def test_an_image_of_a_newer_date_does_not_make_a_bundle_newer(tmp_path: Path) -> None:
    """Nothing but the order of the imports decides, and the option lets a tag go back."""

    async def make(path: Path, year: int) -> bytes:
        async with open_filled(path) as filled:
            await filled.put_image(APP, [str(year).encode()], annotations={"year": str(year)})
            return await write_bundle(filled, [APP])

    config = await make_import_side(tmp_path)
    for name, year in (("new", 2030), ("old", 2020)):
        (tmp_path / f"{name}.tar").write_bytes(await make(tmp_path / name, year))
        (*_, move) = [None, *run(config, "import", str(tmp_path / f"{name}.tar"))["moved"]]
    assert move is not None
    assert not move["backwards"]
    refused = run_command("bundle", "import", str(tmp_path / "new.tar"), "--config", str(config))
    assert refused.returncode == 1
    (back,) = run(config, "import", str(tmp_path / "new.tar"), "--move-back")["moved"]
    assert back["backwards"]
    again = run(config, "import", str(tmp_path / "new.tar"))
    assert (again["moved"], again["already_here"]) == ([], [APP])


def list_files(folder: Path) -> dict[str, int]:
    """Return the sizes of the files below a folder, without those of SQLite."""
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("catalog.db")
    }
