"""Builds the images with buildah, and runs them as a container would be: its root, user and command.

No Docker engine takes part. The root is a read-only mount, the user a number, and there is nothing in
it but what the image brings and what Kubernetes mounts.
"""

import json
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
# As one layer a file, so that it needs no union file system.
STORAGE = ["--storage-driver", "vfs"]


def run(*command: str, **more) -> str:
    done = subprocess.run(command, text=True, capture_output=True, timeout=600, **more)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


class Storage:
    """Where the images of one test run are, so that none is left on the machine."""

    def __init__(self, folder: pathlib.Path):
        self.flags = ["--root", str(folder / "storage"), "--runroot", str(folder / "run")]
        self._folder = folder

    def build(self) -> None:
        # docker is not asked, also where it is installed: what is built is looked into here.
        without_docker = {**os.environ, "BUILDAH_FLAGS": " ".join(self.flags), "ENGINE": "buildah"}
        run(str(ROOT / "scripts/image"), "--name", "zentra-sidecar:test", env=without_docker)

    def buildah(self, *arguments: str) -> str:
        return run("buildah", *self.flags, *STORAGE, *arguments)

    def unpack(self, name: str) -> "Image":
        container = self.buildah("from", "--pull-never", name)
        mounted = self.buildah("mount", container)
        root = self._folder / "roots" / name.replace(":", "-")
        shutil.copytree(mounted, root, symlinks=True)
        self.buildah("umount", container)
        config = json.loads(self.buildah("inspect", "--type", "image", name))["OCIv1"]["config"]
        return Image(root, config)


class Image:
    """A root folder, and what the image says of running it."""

    def __init__(self, root: pathlib.Path, config: dict):
        self.root = root
        self.config = config

    def files(self) -> dict[str, int]:
        return {str(path.relative_to(self.root)): path.stat().st_size
                for path in self.root.rglob("*") if path.is_file()}

    def instance(self, folder: pathlib.Path) -> "Instance":
        shutil.copytree(self.root, folder, symlinks=True)
        # What the container runtime mounts into every container.
        (folder / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        (folder / "etc/hosts").write_text("127.0.0.1 localhost\n")
        (folder / "proc").mkdir()
        return Instance(folder, self.config)


class Instance:
    """A container that is to run, or runs."""

    def __init__(self, root: pathlib.Path, config: dict):
        self.root = root
        self._config = config
        self.process: subprocess.Popen | None = None

    def start(self, arguments: list[str] | None = None, environment: dict[str, str] | None = None) -> None:
        run("mount", "--bind", str(self.root), str(self.root))
        run("mount", "-o", "remount,bind,ro", str(self.root))
        set_in_image = dict(it.split("=", 1) for it in self._config.get("Env", []))
        command = [*self._config["Entrypoint"], *(arguments or self._config["Cmd"])]
        user = self._config["User"]
        self._log = self.root.with_suffix(".log").open("w+")
        self.process = subprocess.Popen(
            ["/usr/sbin/chroot", f"--userspec={user}", "--groups=", str(self.root), *command],
            env={**set_in_image, **(environment or {})}, stdout=self._log, stderr=self._log,
        )

    def log(self) -> str:
        return self.root.with_suffix(".log").read_text()

    def end(self, seconds: float = 40) -> int:
        """SIGTERM, as Kubernetes ends it; the exit code."""
        self.process.terminate()
        return self.process.wait(seconds)
