"""MathJax and the widget manager as local files, so that pages work offline: fetched once by npm into the build."""

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Package:
    """An npm package: its tarball must have the given sha512; `files` maps path prefixes in it to places here."""

    name: str
    version: str
    sha512: str     # base64, as in package-lock.json
    files: tuple[tuple[str, str], ...]


PACKAGES = (
    Package("@jupyter-widgets/html-manager", "1.0.15",
            "5thBIV6ymNgmPVOHvzx+gGy8ZSKmSazhtGw4/c4xJDVzRhG9PTeQsRjF3FUTopvFi//SABeNz1yp47bCrJ3CQA==",
            (("package/dist/embed.js", "widgets/embed.js"),
             ("package/dist/1551f4f60c37af51121f.woff2", "widgets/1551f4f60c37af51121f.woff2"),     # icons of buttons
             ("package/dist/embed.js.LICENSE.txt", "widgets/embed.js.LICENSE.txt"))),
    Package("mathjax", "3.2.2",
            "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
            # SVG output: it needs no fonts, which browsers do not load for pages opened from a disk
            (("package/es5/tex-mml-svg.js", "mathjax/tex-mml-svg.js"), ("package/LICENSE", "mathjax/LICENSE"))),
)
MATHJAX, WIDGETS = "mathjax/tex-mml-svg.js", "widgets/embed.js"
TIMEOUT = 120       # seconds for one package


class NotFetched(Exception):
    """The reason why the assets are not here, in a few words."""


def assets(build: Path) -> Path:
    """Folder with MATHJAX and WIDGETS; fetched if it is not there yet.  Raises NotFetched, and then leaves nothing."""
    wanted = hashlib.sha256(repr(PACKAGES).encode()).hexdigest()[:16]
    folder = build / "vendor" / wanted
    if folder.is_dir():
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise NotFetched("npm is not installed")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as partial:
        complete = Path(partial) / "complete"
        for package in PACKAGES:
            tarball = _tarball(npm, package, Path(partial))
            try:
                _unpack(tarball, package, complete)
            except tarfile.TarError as error:
                raise NotFetched(f"{package.name} {package.version} cannot be unpacked") from error
        try:
            os.replace(complete, folder)
        except OSError:
            if not folder.is_dir():     # another build may have put it there meanwhile
                raise
    return folder


def _tarball(npm: str, package: Package, folder: Path) -> Path:
    into = folder / package.name.replace("/", "-")
    into.mkdir()
    try:
        subprocess.run([npm, "pack", f"{package.name}@{package.version}", "--silent", "--ignore-scripts",
                        "--fetch-retries=0", "--fetch-timeout=30000", f"--pack-destination={into}"],
                       check=True, cwd=into, timeout=TIMEOUT, stdin=subprocess.DEVNULL, capture_output=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise NotFetched(f"npm could not fetch {package.name}") from error
    found = list(into.glob("*.tgz"))
    if len(found) != 1 or _sha512(found[0]) != package.sha512:
        raise NotFetched(f"npm brought something else than {package.name} {package.version}")
    return found[0]


def _sha512(path: Path) -> str:
    return base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def _unpack(tarball: Path, package: Package, target: Path) -> None:
    with tarfile.open(tarball) as archive:
        for member in archive:
            for prefix, place in package.files:
                if member.isfile() and (member.name == prefix or prefix.endswith("/") and
                                        member.name.startswith(prefix)):
                    path = target / PurePosixPath(place + member.name[len(prefix):])
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(archive.extractfile(member).read())
    for _, place in package.files:
        if not (target / place).exists():
            raise NotFetched(f"{package.name} {package.version} lacks {place}")
