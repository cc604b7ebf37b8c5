"""Is what guests boot made once, out of what is there?"""

from __future__ import annotations

import shutil
import subprocess
import threading

import pytest

from topologies.errors import LabError
from topologies.qemu import image

pytestmark = pytest.mark.skipif(not shutil.which("busybox"), reason="needs busybox-static")

KERNEL = "linux-image-9.9.9-cloud-amd64_9.9.9-1_amd64"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache that has a kernel, with one module, already; QEMU is not needed to make an image."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(image, "QEMU", "busybox")
    kernel = tmp_path / "vl2" / KERNEL
    kernel.mkdir(parents=True)
    (kernel / "vmlinuz").write_bytes(b"kernel")
    (kernel / "virtio_net.ko").write_bytes(b"module")
    (kernel / "order").write_text("virtio_net.ko\n")
    return tmp_path / "vl2"


def test_an_initramfs_unpacks_to_what_a_guest_needs(cache, tmp_path):
    """The initramfs is a cpio archive of init, busybox, a shell, and the modules of the kernel beside it."""
    made = image.built()
    assert made.kernel == cache / KERNEL / "vmlinuz"
    place = tmp_path / "unpacked"
    place.mkdir()
    with made.initramfs.open("rb") as archive:
        subprocess.run(["busybox", "cpio", "-id"], stdin=archive, cwd=place, check=True, capture_output=True)
    assert (place / "init").read_text().startswith("#!/bin/sh")
    assert (place / "init").stat().st_mode & 0o111
    assert (place / "bin/sh").readlink().name == "busybox"
    assert (place / "modules/virtio_net.ko").read_bytes() == b"module"
    assert (place / "modules/order").read_text() == "virtio_net.ko\n"
    assert subprocess.run([place / "bin/busybox", "true"], check=False).returncode == 0


def test_an_image_is_made_once_whoever_asks_and_anew_when_its_parts_change(cache):
    """Several who ask at once get the same file, whole; another kernel's module makes another one."""
    found = []
    asking = [threading.Thread(target=lambda: found.append(image.built())) for _ in range(4)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert len(found) == len(asking)
    assert len({each.initramfs for each in found}) == 1
    (cache / KERNEL / "virtio_net.ko").write_bytes(b"newer")
    newer = image.built().initramfs
    assert newer != found[0].initramfs
    assert sorted(each.name for each in cache.iterdir()) == sorted([newer.name, found[0].initramfs.name, KERNEL])


def test_without_a_kernel_to_be_had_the_error_says_so_and_nothing_is_left(cache, tmp_path, monkeypatch):
    """Where no kernel is kept and apt is not there, making an image fails and leaves the cache empty."""
    shutil.rmtree(cache / KERNEL)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "busybox").symlink_to(shutil.which("busybox"))
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(LabError, match="no kernel for QEMU guests"):
        image.built()
    assert list(cache.iterdir()) == []


def test_what_is_not_installed_is_named(monkeypatch, tmp_path):
    """Without the programs the error is the command that installs their packages."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="apt-get install qemu-system-x86 busybox-static"):
        image.built()
