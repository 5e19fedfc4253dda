"""`make release`: the same bytes from the same commit, signed, and only if all fits together."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import require
from tests.packaging import chart
from tests.packaging.checkout import ROOT, Checkout, describe
from tests.packaging.engine import finished

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an sdist has no commit to release"),
]

VERSION = "7.1.0"
SIGNERS = Path("config/release/allowed_signers")
PAGE = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
VERIFY = re.findall(
    r"^```sh\n(.*?)^```",
    PAGE.partition("## Verify a release\n")[2].partition("\n## ")[0],
    re.DOTALL | re.MULTILINE,
)[0]


def make_key(folder: Path, name: str) -> Path:
    """Make a key to sign with, without a passphrase."""
    require("" if shutil.which("ssh-keygen") else "ssh-keygen")
    key = folder / name
    finished(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], 20)
    return key


def allow(checkout: Checkout, key: Path) -> None:
    """Let this key sign releases, as the message of `make release` says."""
    public = key.with_suffix(".pub").read_text()
    with (checkout.folder / SIGNERS).open("a") as file:
        file.write(f'entrepot namespaces="entrepot-release" {public}')


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("key"), "release")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout of what is here, which no test changes."""
    return Checkout.make(tmp_path_factory.mktemp("plain") / "checkout")


@pytest.fixture(scope="module")
def built(plain: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a release of what is here, which no test changes."""
    return plain.build(tmp_path_factory.mktemp("built") / "files")


@pytest.fixture(scope="module")
def ready(plain: Checkout, tmp_path_factory: pytest.TempPathFactory, key: Path) -> Checkout:
    """A checkout that is ready for a release, which no test changes."""
    made = plain.copy(tmp_path_factory.mktemp("ready") / "checkout")
    allow(made, key)
    done = made.run("make", "version", f"NEW={VERSION}", "PYTHON=" + sys.executable)
    assert done.returncode == 0, done.stderr
    made.commit(f"version {VERSION}")
    return made


@pytest.fixture
def checkout(ready: Checkout, tmp_path: Path) -> Checkout:
    """A checkout that is ready for a release."""
    return ready.copy(tmp_path / "checkout")


def release(checkout: Checkout, key: Path | str) -> subprocess.CompletedProcess[str]:
    return checkout.run("make", "release", f"RELEASE_KEY={key}")


def verify(folder: Path) -> subprocess.CompletedProcess[str]:
    """Do what docs/installation.md says."""
    return subprocess.run(
        ["sh", "-euc", VERIFY], cwd=folder, capture_output=True, text=True, timeout=20, check=False
    )


def test_a_release_is_signed_and_any_changed_byte_is_found(checkout: Checkout, key: Path) -> None:
    """The commands of the page accept what was made, and nothing else."""
    done = release(checkout, key)
    made = checkout.folder / "dist" / "release"
    shutil.copy(checkout.folder / SIGNERS, made)

    assert done.returncode == 0, done.stderr
    assert f"git tag --sign v{VERSION}" in done.stdout
    files = {f"entrepot-{VERSION}.tar.gz", f"entrepot-{VERSION}-py3-none-any.whl"}
    files |= {f"entrepot-chart-{VERSION}.tgz"}
    assert files | {"SHA256SUMS", "SHA256SUMS.sig", SIGNERS.name} == set(describe(made))
    assert verify(made).returncode == 0, verify(made).stderr
    for name in (*files, "SHA256SUMS"):
        right = (made / name).read_bytes()
        (made / name).write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
        assert verify(made).returncode != 0, name
        (made / name).write_bytes(right)
    assert verify(made).returncode == 0


def test_the_key_may_be_below_the_home(plain: Checkout) -> None:
    """As CONTRIBUTING.md names it: zsh and dash leave the ~ to the program."""
    done = plain.run("make", "--dry-run", "release", "RELEASE_KEY=~/.ssh/key")

    assert f'check "{Path.home()}/.ssh/key"' in done.stdout
    assert f'dist/release "{Path.home()}/.ssh/key"' in done.stdout


def test_another_key_is_not_accepted(checkout: Checkout, tmp_path: Path) -> None:
    """Nobody can verify what a key has signed that is not in the list: so nothing is left."""
    done = release(checkout, make_key(tmp_path, "stranger"))

    assert done.returncode != 0
    assert 'add and commit a line: entrepot namespaces="entrepot-release" ssh-ed' in done.stderr
    assert not (checkout.folder / "dist" / "release").exists()


def test_a_signature_for_another_purpose_is_not_accepted(checkout: Checkout, key: Path) -> None:
    """What the same key has signed as a commit or a file is no release."""
    assert release(checkout, key).returncode == 0
    made = checkout.folder / "dist" / "release"
    shutil.copy(checkout.folder / SIGNERS, made)
    (made / "SHA256SUMS.sig").unlink()
    finished(["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", "git", made / "SHA256SUMS"], 20)

    assert verify(made).returncode != 0


def add_file(checkout: Checkout) -> None:
    (checkout.folder / "registry" / "new.py").write_text("")


def change_file(checkout: Checkout) -> None:
    (checkout.folder / "README.md").write_text("changed")


def tag(checkout: Checkout) -> None:
    checkout.git("tag", f"v{VERSION}")


def remove_heading(checkout: Checkout) -> None:
    path = checkout.folder / "CHANGELOG.md"
    path.write_text(path.read_text().replace(f"## {VERSION} - ", f"## {VERSION}-rc - "))
    checkout.commit("no heading")


def raise_chart(checkout: Checkout) -> None:
    path = checkout.folder / "config" / "helm" / "entrepot" / "Chart.yaml"
    path.write_text(path.read_text().replace(f"version: {VERSION}", "version: 7.2.0"))
    checkout.commit("another chart")


def nothing(checkout: Checkout) -> None:
    """Change nothing."""


@pytest.mark.parametrize(
    ("change", "named", "problem"),
    [
        (add_file, None, "there are changes that are not committed"),
        (change_file, None, "there are changes that are not committed"),
        (tag, None, f"the tag v{VERSION} exists already"),
        (remove_heading, None, f'CHANGELOG.md has no heading "## {VERSION} - DATE"'),
        (raise_chart, None, f"pyproject.toml says version {VERSION}, and"),
        (nothing, "", "name the private key to sign with"),
        (nothing, "missing", "the key missing cannot be read"),
    ],
)
def test_a_release_is_refused(
    checkout: Checkout,
    key: Path,
    change: Callable[[Checkout], None],
    named: str | None,
    problem: str,
) -> None:
    """Each reason is said in a sentence, and nothing is written."""
    change(checkout)

    done = release(checkout, key if named is None else named)

    assert done.returncode != 0
    assert f"release: {problem}" in done.stderr
    assert not (checkout.folder / "dist").exists()


def test_the_same_commit_gives_the_same_bytes(plain: Checkout, built: Path, tmp_path: Path) -> None:
    """Whatever the folder, the time zone, the umask, the language, and files that git ignores."""
    other = plain.copy(tmp_path / "a folder with a longer name")
    (other.folder / "data").mkdir()
    (other.folder / "registry" / "x.pyc").write_text("ignored")
    variables = {"TZ": "Asia/Shanghai", "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": "1700000000"}

    script = f'umask 077; exec config/release/build "{sys.executable}" "{tmp_path / "again"}"'
    done = other.run("sh", "-euc", script, **variables)

    assert done.returncode == 0, done.stderr
    assert describe(built) == describe(tmp_path / "again")


def test_the_sdist_builds_the_same_wheel(plain: Checkout, built: Path, tmp_path: Path) -> None:
    """pip makes of it, and of a checkout, the wheel of the release, byte for byte."""
    (sdist,) = built.glob("*.tar.gz")
    (wheel,) = built.glob("*.whl")

    for number, source in enumerate((sdist, plain.folder)):
        into = tmp_path / f"wheel-{number}"
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir"]
        command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", into, source]
        finished([*map(str, command)], 200)
        assert {wheel.name: wheel.read_bytes()} == describe(into)


def test_the_chart_of_a_release_is_the_chart(built: Path) -> None:
    """helm makes the same of the archive and of the folder; values for tests are not in it."""
    (archive,) = built.glob("*.tgz")

    rendered = chart.run_helm("template", "images", archive, "--namespace", "tools")
    assert chart.render({}) == rendered
    with tarfile.open(archive) as tar:
        assert not [name for name in tar.getnames() if "/ci" in name]


def test_the_checksums_name_all_files(built: Path) -> None:
    """Nothing is published that nobody can verify."""
    named = re.findall(r"^[0-9a-f]{64}  (.*)$", (built / "SHA256SUMS").read_text(), re.MULTILINE)

    assert {*named, "SHA256SUMS"} == set(describe(built))
