"""What scripts/image calls its images."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def image_name(*arguments: str) -> subprocess.CompletedProcess:
    script = 'source scripts/lib/steps.sh; source scripts/lib/image_names.sh; image_name "$@"'
    return subprocess.run(["bash", "-euo", "pipefail", "-c", script, "bash", *arguments],
                          cwd=ROOT, text=True, capture_output=True, timeout=20)


@pytest.mark.parametrize(("name", "production", "dev"), [
    ("zentra-sidecar", "zentra-sidecar:1.2.3", "zentra-sidecar-dev:1.2.3"),
    ("zentra-sidecar:test", "zentra-sidecar:test", "zentra-sidecar-dev:test"),
    ("registry.example.com/pay/zentra:7", "registry.example.com/pay/zentra:7", "registry.example.com/pay/zentra-dev:7"),
    ("registry.example.com:5000/zentra", "registry.example.com:5000/zentra:1.2.3", "registry.example.com:5000/zentra-dev:1.2.3"),
    ("localhost:5000/pay/zentra:7", "localhost:5000/pay/zentra:7", "localhost:5000/pay/zentra-dev:7"),
])
def test_a_name_may_have_a_registry_its_port_and_a_tag(name, production, dev):
    assert image_name(name, "production", "1.2.3").stdout == f"{production}\n"
    assert image_name(name, "dev", "1.2.3").stdout == f"{dev}\n"


def test_two_architectures_have_two_tags():
    made = {image_name("localhost:5000/zentra", target, "1.2.3", arch).stdout.strip()
            for target in ("production", "dev") for arch in ("amd64", "arm64")}
    assert made == {"localhost:5000/zentra:1.2.3-amd64", "localhost:5000/zentra:1.2.3-arm64",
                    "localhost:5000/zentra-dev:1.2.3-amd64", "localhost:5000/zentra-dev:1.2.3-arm64"}


@pytest.mark.parametrize("name", ["zentra@sha256:" + "a" * 64, "registry.example.com/", "zentra:", ""])
def test_what_is_no_name_is_refused(name):
    done = image_name(name, "production", "1.2.3")
    assert done.returncode != 0 and done.stdout == ""
    assert "name" in done.stderr


def test_what_is_typed_finds_the_images_where_scripts_image_keeps_them():
    [storage] = re.findall(r"(--storage-driver \w+)", (ROOT / "scripts/lib/image.sh").read_text())
    typed = re.findall(r"^buildah .*", (ROOT / "docs/IMAGES.md").read_text(), re.MULTILINE)
    assert typed and [it for it in typed if not it.startswith(f"buildah {storage} ")] == []
