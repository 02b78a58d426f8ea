"""Takes the images apart, and runs them as a container would be: its root, user and command.

No Docker engine takes part. The root is a read-only mount, the user a number, and there is nothing in
it but what the image brings and what Kubernetes mounts.
"""

import json
import os
import pathlib
import shutil
import subprocess

# What every container runtime has in /dev, as far as a program may ask for it.
DEVICES = ("null", "zero", "random", "urandom")
# A storage that needs no union file system.
STORAGE = ["--storage-driver", "vfs"]


def run(*command: str, **more) -> str:
    done = subprocess.run(command, text=True, capture_output=True, timeout=600, **more)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


class Storage:
    """Where scripts/test has built the images, so that none is left on the machine."""

    def __init__(self, folder: pathlib.Path):
        self._flags = os.environ["BUILDAH_FLAGS"].split()
        self._folder = folder

    def buildah(self, *arguments: str) -> str:
        return run("buildah", *self._flags, *STORAGE, *arguments)

    def unpack(self, name: str) -> "Image":
        container = self.buildah("from", "--pull-never", name)
        mounted = self.buildah("mount", container)
        root = self._folder / "roots" / name.replace(":", "-")
        shutil.copytree(mounted, root, symlinks=True)
        self.buildah("umount", container)
        # Docker's form of it, as OCI's knows no health check.
        config = json.loads(self.buildah("inspect", "--type", "image", name))["Docker"]["config"]
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
        (folder / "dev").mkdir()
        for device in DEVICES:
            (folder / "dev" / device).touch()
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
        run("mount", "--rbind", "/proc", str(self.root / "proc"))
        for device in DEVICES:
            run("mount", "--bind", f"/dev/{device}", str(self.root / "dev" / device))
        set_in_image = dict(it.split("=", 1) for it in self._config.get("Env", []))
        command = [*self._config["Entrypoint"], *(arguments or self._config["Cmd"])]
        self._environment = {**set_in_image, **(environment or {})}
        self._log = self.root.with_suffix(".log").open("w+")
        self.process = subprocess.Popen(self._inside(command), env=self._environment,
                                        stdout=self._log, stderr=self._log)

    def execute(self, command: list[str]) -> int:
        """Another process in the container; the exit code."""
        return subprocess.run(self._inside(command), env=self._environment, capture_output=True, timeout=20).returncode

    def _inside(self, command: list[str]) -> list[str]:
        return ["/usr/sbin/chroot", f"--userspec={self._config['User']}", "--groups=", str(self.root), *command]

    def log(self) -> str:
        return self.root.with_suffix(".log").read_text()

    def end(self, seconds: float = 40) -> int:
        """SIGTERM, as Kubernetes ends it; the exit code."""
        self.process.terminate()
        return self.process.wait(seconds)
