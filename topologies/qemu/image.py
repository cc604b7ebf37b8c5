"""What do guests boot?

The kernel of Debian's package for virtual machines, which is unpacked and not installed, and an initramfs of busybox,
the modules of virtio's network card, and ``init.sh``.  Both are made once, and kept below ``/var/cache/vl2`` (or
``$XDG_CACHE_HOME/vl2``), where each is named by what it is made of.
"""

from __future__ import annotations

import fcntl
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from topologies import leases
from topologies.errors import LabError

QEMU: Final = "qemu-system-x86_64"
LEASES: Final = "/bin/leases.sh"
"""What udhcpc calls in the guest."""

_BUSYBOX: Final = "busybox"
_META: Final = "linux-image-cloud-amd64"
"""The package that depends on the newest kernel for virtual machines."""
_WANTED: Final = ("virtio_pci", "virtio_net")
_INIT: Final = Path(__file__).with_name("init.sh")
_DOWNLOAD_SECONDS: Final = 300
_ALIGN: Final = 4


@dataclass(frozen=True, slots=True)
class Image:
    """What a guest boots."""

    kernel: Path
    initramfs: Path


def require_programs() -> None:
    """Check that what guests need is installed.

    :raises LabError: naming what is missing.
    """
    missing = [
        package
        for program, package in ((QEMU, "qemu-system-x86"), (_BUSYBOX, "busybox-static"))
        if not shutil.which(program)
    ]
    if missing:
        raise LabError(f"a QEMU guest needs what is not installed: apt-get install {' '.join(missing)}")


def built() -> Image:
    """The image, which is made now if it has not been yet.

    :raises LabError: if something that it is made of is missing.
    """
    require_programs()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache") / "vl2"
    try:
        cache.mkdir(mode=0o755, parents=True, exist_ok=True)
        with _alone(cache):
            kernel = _kernel(cache)
            return Image(kernel / "vmlinuz", _initramfs(cache, kernel))
    except OSError as wrong:
        raise LabError(f"the image for QEMU guests cannot be made in {cache}: {wrong}") from wrong


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    fd = os.open(cache, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _run(*words: str, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd, timeout=_DOWNLOAD_SECONDS)
    except (FileNotFoundError, subprocess.TimeoutExpired) as wrong:
        raise LabError(f"no kernel for QEMU guests: {wrong}") from wrong
    if done.returncode:
        said = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise LabError(f"no kernel for QEMU guests: {' '.join(words)}: {said or done.returncode}")
    return done.stdout


# --- the kernel -------------------------------------------------------------------------------------------------------


def _kernel(cache: Path) -> Path:
    """The directory of the newest kernel that the cache has, or of the one that Debian has now."""
    kept = [each for each in cache.glob("linux-image-*") if (each / "vmlinuz").exists()]
    if kept:
        return max(kept, key=lambda each: each.stat().st_mtime)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        workshop = Path(work)
        _run("apt-get", "download", _newest(), cwd=workshop)
        (package,) = workshop.glob("*.deb")
        _run("dpkg", "-x", str(package), str(workshop / "unpacked"))
        made = workshop / "kernel"
        made.mkdir()
        for found in (workshop / "unpacked" / "boot").glob("vmlinuz-*"):
            shutil.copyfile(found, made / "vmlinuz")
        _keep_modules(workshop / "unpacked", made)
        kernel = cache / package.stem
        made.rename(kernel)
    return kernel


def _newest() -> str:
    for line in _run("apt-cache", "depends", _META).splitlines():
        word, _, package = line.strip().partition(": ")
        if word == "Depends" and package.startswith("linux-image-"):
            return package
    raise LabError(f"no kernel for QEMU guests: apt knows of no {_META} (apt-get update)")


def _keep_modules(unpacked: Path, made: Path) -> None:
    """Keep the modules that the network card needs, and their order."""
    found = {each.name.partition(".")[0]: each for each in unpacked.rglob("*.ko*")}
    order: list[str] = []

    def take(name: str) -> None:
        if name not in found or name in order:  # one that is not a file is built in
            return
        content = found[name].read_bytes()
        if found[name].suffix == ".xz":
            content = lzma.decompress(content)
        depends = re.search(rb"\0depends=([^\0]*)\0", content)
        for each in depends[1].decode().split(",") if depends else ():
            take(each)
        (made / f"{name}.ko").write_bytes(content)
        order.append(name)

    for name in _WANTED:
        take(name)
    (made / "order").write_text("".join(f"{name}.ko\n" for name in order))


# --- the initramfs ----------------------------------------------------------------------------------------------------


def _initramfs(cache: Path, kernel: Path) -> Path:
    busybox = Path(str(shutil.which(_BUSYBOX))).read_bytes()
    if b"/ld-linux" in busybox[:4096]:
        raise LabError("a QEMU guest needs a busybox without libraries: apt-get install busybox-static")
    files = {"init": _INIT.read_bytes(), "bin/busybox": busybox, LEASES.strip("/"): leases.SCRIPT.encode()}
    files |= {f"modules/{each.name}": each.read_bytes() for each in sorted(kernel.iterdir()) if each.name != "vmlinuz"}
    archive = _archive(files)
    path = cache / f"initramfs-{hashlib.blake2b(archive, digest_size=8).hexdigest()}.cpio"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=cache) as work:
            made = Path(work) / path.name
            made.write_bytes(archive)
            made.rename(path)
    return path


def _archive(files: dict[str, bytes]) -> bytes:
    """A cpio archive (*newc*, as the kernel's Documentation/driver-api/early-userspace/buffer-format.rst has it)."""
    folders = {"bin", "dev", "proc", "sys", *(str(Path(name).parent) for name in files)} - {"."}
    members = [(name, 0o040755, b"") for name in sorted(folders)]
    members += [(name, 0o100755, content) for name, content in files.items()]
    members += [("bin/sh", 0o120777, b"busybox"), ("TRAILER!!!", 0, b"")]
    return b"".join(_member(number, *member) for number, member in enumerate(members, 1))


def _member(inode: int, name: str, mode: int, content: bytes) -> bytes:
    words = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % word for word in words) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(block: bytes) -> bytes:
    return block + bytes(-len(block) % _ALIGN)
