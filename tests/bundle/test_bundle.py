"""Bundles: written whole, every byte covered by a hash, damage refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ftkit
from ftkit import files, plugins
from ftkit.bundle import bundle
from ftkit.bundle import manifest as manifests
from ftkit.bundle.bundle import Bundle
from ftkit.errors import BundleError, PluginError
from ftkit.testing import toys
from ftkit.testing.bundles import BAD, GOOD, toy_bundle


@pytest.fixture
def toy(tmp_path: Path) -> Bundle:
    return toy_bundle(tmp_path / "bundle")


def write(folder: Path, model: Path) -> Bundle:
    """A minimal bundle of a model folder."""
    return bundle.write(
        folder,
        model=model,
        classes=("a", "b"),
        backbone={"use": "toy-words"},
        recipe="",
        card="",
        sample_texts=["text"],
        about={},
    )


def test_a_bundle_holds_the_documented_files_and_the_given_values(toy):
    manifest = json.loads((toy.folder / "manifest.json").read_text())
    present = {path.relative_to(toy.folder).as_posix() for path in toy.folder.rglob("*") if path.is_file()}
    assert present == {"manifest.json", "promotion.json", *manifest["files"]}
    assert {"recipe.toml", "README.md", "sample_request.json"} < present
    assert manifest["classes"] == ["bad", "good"]
    assert toy.classes == ("bad", "good")
    assert toy.sample_request == {"data": [{"text": GOOD}, {"text": BAD}]}
    assert toy.recipe == 'name = "toy"\n'
    assert toy.manifest["run"] == "toy"


def test_a_loaded_bundle_answers_with_label_names(toy, tmp_path):
    with toys.install(tmp_path / "plugin"):
        loaded = ftkit.load(str(toy.folder))
        assert loaded.predict([GOOD, BAD]) == ["good", "bad"]
        assert loaded.predict(GOOD) == ["good"]
        assert loaded.predict([]) == []
        assert np.allclose(loaded.probabilities([GOOD, BAD]).sum(axis=1), 1)
        assert loaded.classifier is loaded.classifier, "loaded once"


def test_a_bundle_whose_backbone_is_not_installed_names_it(toy):
    plugins.load.cache_clear()
    with pytest.raises(PluginError, match="no backbone named 'toy-words'"):
        ftkit.load(toy.folder).predict([GOOD])


def test_equal_content_has_an_equal_hash_and_a_byte_more_another(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_bytes(b"weights")
    first = write(tmp_path / "first", model)
    assert write(tmp_path / "second", model).hash == first.hash
    (model / "weights").write_bytes(b"weights.")
    assert write(tmp_path / "third", model).hash != first.hash


def test_a_copy_of_a_bundle_is_that_bundle(toy, tmp_path):
    shutil.copytree(toy.folder, tmp_path / "copy")
    assert bundle.verify(tmp_path / "copy").hash == toy.hash


def _edit(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + b" ")


def _flip(folder: Path) -> None:
    path = folder / "model" / "weights.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _manifest(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest.update(changes)
        (folder / "manifest.json").write_text(json.dumps(manifests.sealed(manifest)))

    return change


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_edit("recipe.toml"), "changed since it was written: recipe.toml"),
        (_edit("model/classes.json"), "changed since it was written: model/classes.json"),
        (_flip, "changed since it was written: model/weights.npy"),
        (lambda folder: (folder / "README.md").unlink(), "missing: README.md"),
        (lambda folder: shutil.rmtree(folder / "model"), "missing: model/classes.json, model/weights.npy"),
        (lambda folder: (folder / "model" / "evil.py").write_text("x"), "not in the manifest: model/evil.py"),
        (lambda folder: (folder / ".hidden").write_text("x"), "not in the manifest: .hidden"),
        (lambda folder: (folder / "manifest.json").unlink(), "not a bundle: it has no manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "the manifest cannot be read"),
        (lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe"), "the manifest cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "the manifest cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "the manifest cannot be read"),
        (_manifest(files=3), "the manifest cannot be read"),
        (_manifest(classes="ab"), "the manifest cannot be read"),
        (_manifest(classes=[1, 2]), "the manifest cannot be read"),
        (_manifest(backbone="toy-words"), "the manifest cannot be read"),
        (_manifest(format=99), "the bundle has format 99, this ftkit reads format 1"),
        (_manifest(files={"../../outside": "0"}), "missing: ../../outside"),
        (lambda folder: shutil.rmtree(folder), "not a bundle"),
    ],
)
def test_damage_of_any_kind_is_found_and_named(toy, damage, reason):
    damage(toy.folder)
    with pytest.raises(BundleError) as refused:
        bundle.verify(toy.folder)
    assert reason in refused.value.what
    assert str(toy.folder) in refused.value.where
    assert refused.value.hint


def test_a_changed_byte_of_the_manifest_is_noticed_without_a_record(tmp_path):
    """With one, the record is about another bundle."""
    toy = toy_bundle(tmp_path / "bundle", record="none")
    path = toy.folder / "manifest.json"
    sound = path.read_bytes()
    for place in range(len(sound)):
        for byte in (sound[place] ^ 1, sound[place] ^ 4):
            path.write_bytes(sound[:place] + bytes([byte]) + sound[place + 1 :])
            try:
                opened = bundle.verify(toy.folder)
            except BundleError:
                continue
            # What is left is white space, and the name of the digest, which is an entry that nobody knows then.
            known = {name: value for name, value in opened.manifest.items() if name in toy.manifest}
            assert known == {name: toy.manifest[name] for name in known}
            assert toy.manifest.keys() - known.keys() <= {"digest"}


def test_a_manifest_of_an_older_ftkit_has_no_digest(toy):
    (toy.folder / "promotion.json").unlink()
    manifest = {name: value for name, value in toy.manifest.items() if name != "digest"}
    (toy.folder / "manifest.json").write_text(json.dumps(manifest))
    assert bundle.verify(toy.folder).manifest == manifest


def test_many_damaged_files_are_counted(toy):
    for number in range(5):
        (toy.folder / f"extra-{number}").write_text("x")
    with pytest.raises(BundleError, match="extra-0, extra-1, extra-2 and 2 more"):
        bundle.verify(toy.folder)


def test_a_file_that_cannot_be_read_is_named(toy, monkeypatch):
    def unreadable(path: Path) -> str:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(files, "sha256", unreadable)
    with pytest.raises(BundleError, match="cannot be read: Input/output error") as refused:
        bundle.verify(toy.folder)
    assert str(toy.folder) in refused.value.where


def test_writing_replaces_an_older_bundle_as_a_whole(toy, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_bytes(b"new")
    written = write(toy.folder, model)
    assert written.hash != toy.hash
    assert bundle.verify(toy.folder) == written


def test_a_model_folder_that_is_not_there_leaves_nothing_behind(tmp_path):
    with pytest.raises(BundleError, match="cannot be written"):
        write(tmp_path / "new" / "bundle", tmp_path / "none")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "model").mkdir()
    with pytest.raises(BundleError, match="cannot be written") as refused:
        write(tmp_path / "file" / "bundle", tmp_path / "model")
    assert "file" in refused.value.where


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if (
        os.geteuid()
        or shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("only the superuser can mount a small disk, and not in every container")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_an_error_that_leaves_the_older_bundle_whole(small_disk, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_bytes(b"0" * 300_000)
    first = write(small_disk / "bundle", model)
    (model / "weights").write_bytes(b"1" * 2_000_000)
    with pytest.raises(BundleError, match="the disk is full") as refused:
        write(small_disk / "bundle", model)
    assert "FTKIT_HOME" in refused.value.hint
    assert [path.name for path in small_disk.iterdir()] == ["bundle"]
    assert bundle.verify(small_disk / "bundle") == first


def test_a_file_larger_than_the_system_allows_leaves_nothing_behind(tmp_path):
    script = (
        "import resource, signal, sys; from pathlib import Path; from ftkit.bundle import bundle;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000));"
        "bundle.write(Path(sys.argv[1]), model=Path(sys.argv[2]), classes=['a'], backbone={'use': 'x'}, recipe='',"
        "card='', sample_texts=[], about={})"
    )
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_bytes(b"0" * 300_000)
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out" / "bundle"), str(model)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "BundleError" in ended.stderr
    assert "the bundle cannot be written" in ended.stderr
    assert list((tmp_path / "out").iterdir()) == []
