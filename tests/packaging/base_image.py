"""A base image made from the Python that runs this test: no registry, a few seconds.

It holds the interpreter, its standard library, the shared libraries that these need, a certificate
bundle and busybox. It stands in for `python:3.12-slim` where Docker Hub cannot be reached.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

_LEFT_OUT = {"__pycache__", "test", "tests", "idlelib", "turtledemo", "site-packages"}
_LEFT_OUT |= {"dist-packages", "lib2to3", "tkinter"}
_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
# Wheels with compiled code expect these of every Linux.
_EXPECTED = ("libgcc_s.so.1", "libstdc++.so.6", "libz.so.1")
_EXPECTED += ("libdl.so.2", "libm.so.6", "libpthread.so.0", "libresolv.so.2", "librt.so.1")
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def write(target: Path) -> None:
    """Write the root file system as a tar for `docker import`."""
    with tarfile.open(target, "w") as tar:
        for folder in ("etc", "proc", "root", "sys", "tmp"):
            _add_folder(tar, folder, 0o1777 if folder == "tmp" else 0o755)
        for name, text in _ACCOUNTS.items():
            _add_text(tar, name, text)
        if _CERTIFICATES.is_file():
            _add_file(tar, _CERTIFICATES, str(_CERTIFICATES))
        _add_shell(tar)
        _add_python(tar)


def _add_shell(tar: tarfile.TarFile) -> None:
    busybox = shutil.which("busybox")
    if busybox is None:
        raise FileNotFoundError("busybox (package busybox-static) is not installed")
    _add_file(tar, Path(busybox), "bin/busybox")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    for applet in applets.stdout.split():
        if applet != "busybox":
            _add_link(tar, f"bin/{applet}", "busybox")


def _add_python(tar: tarfile.TarFile) -> None:
    prefix = Path(sys.base_prefix)
    # Other users could not read an interpreter below a home folder.
    home = prefix if prefix == Path("/usr") else Path("/usr/local")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program = (prefix / "bin" / version).resolve()
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": str(prefix)}))
    _add_file(tar, program, f"{home}/bin/{version}")
    _add_link(tar, f"{home}/bin/python3", version)
    for path in _files(library):
        _add_file(tar, path, f"{home}/lib/{version}/{path.relative_to(library)}")
    wheels = sysconfig.get_config_var("WHEEL_PKG_DIR")
    if wheels:
        for path in _files(Path(wheels)):
            _add_file(tar, path, str(path))
    compiled = [program, *library.glob("lib-dynload/*.so")]
    for name, path in sorted(_shared_libraries(compiled).items()):
        _add_file(tar, path, name)


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _LEFT_OUT and "config-" not in name]
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file():
                yield path


def _shared_libraries(programs: Iterable[Path]) -> dict[str, Path]:
    """Where each library must be in the image, and where it is here.

    All but the loader go to the C library's own folder, where the loader looks by default.
    """
    printed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False)
    named = re.findall(r"(?:=>\s+|^\s+)(/\S+) \(0x", printed.stdout, re.MULTILINE)
    found = {Path(path) for path in named}
    libc = next(path for path in found if path.name == "libc.so.6").parent
    found |= {libc / name for name in _EXPECTED if (libc / name).exists()}
    loaders = {path for path in found if path.name.startswith("ld-")}
    placed = {str(path): path for path in loaders}
    return placed | {str(libc / path.name): path for path in found - loaders}


def _add_file(tar: tarfile.TarFile, source: Path, name: str) -> None:
    member = tar.gettarinfo(str(source.resolve()), name.lstrip("/"))
    member.type = tarfile.REGTYPE
    member.size = source.stat().st_size
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    with source.open("rb") as content:
        tar.addfile(member, content)


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(text)
    tar.addfile(member, io.BytesIO(text.encode()))


def _add_folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.type = tarfile.DIRTYPE
    member.mode = mode
    tar.addfile(member)


def _add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    member = tarfile.TarInfo(name.lstrip("/"))
    member.type = tarfile.SYMTYPE
    member.linkname = target
    tar.addfile(member)
