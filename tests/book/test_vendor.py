import base64
import hashlib
import io
import tarfile

import pytest

from ceae_core.book import vendor


def tarball(names):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    return buffer.getvalue()


@pytest.fixture
def npm(monkeypatch, tmp_path):
    """Replaces npm by a script that copies a prepared tarball, and the packages by one that is in it."""
    def install(content=None, status=0, digest=None):
        content = tarball(["package/a.js", "package/fonts/x.woff", "package/other", "package/../../evil"]) \
            if content is None else content
        (tmp_path / "prepared").write_bytes(content)
        script = tmp_path / "bin" / "npm"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\necho call >> {tmp_path}/calls\nfor last; do :; done\n'
                          f'cp {tmp_path}/prepared "${{last#--pack-destination=}}/p.tgz"\nexit {status}\n')
        script.chmod(0o755)
        digest = digest or base64.b64encode(hashlib.sha512(content).digest()).decode()
        files = (("package/a.js", "widgets/a.js"), ("package/fonts/", "fonts/"))
        monkeypatch.setattr(vendor, "PACKAGES", (vendor.Package("p", "1.0", digest, files),))
        monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
    return install


def test_fetched_once(npm, tmp_path):
    npm()
    folder = vendor.assets(tmp_path / "_build")
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        "fonts/x.woff", "widgets/a.js"]
    assert vendor.assets(tmp_path / "_build") == folder
    assert (tmp_path / "calls").read_text() == "call\n"


@pytest.mark.parametrize("trouble, reason", [
    ({"status": 1}, "could not fetch p"),
    ({"content": b"cut off"}, "cannot be unpacked"),
    ({"digest": "other"}, "something else than p 1.0"),
    ({"content": tarball(["package/a.js"])}, "lacks fonts/"),
])
def test_failure_leaves_nothing_and_is_not_final(npm, tmp_path, trouble, reason):
    npm(**trouble)
    with pytest.raises(vendor.NotFetched, match=reason):
        vendor.assets(tmp_path / "_build")
    assert list((tmp_path / "_build" / "vendor").iterdir()) == []
    npm()
    assert (vendor.assets(tmp_path / "_build") / vendor.PACKAGES[0].files[0][1]).exists()


def test_no_npm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(vendor.NotFetched, match="npm is not installed"):
        vendor.assets(tmp_path / "_build")
