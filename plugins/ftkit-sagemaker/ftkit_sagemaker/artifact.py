"""A bundle as model.tar.gz in S3, found again by its content."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path
from typing import Any

from ftkit import files, scratch
from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle
from ftkit.errors import BundleError

DIGEST = "ftkit-sha256"
"""Metadata of an object: the digest of its bytes, as they were before the upload."""


def upload(s3: Any, bucket: str, prefix: str, bundle: Bundle) -> str:
    """Store a bundle, unless it is there, and return its address.

    Raises: what the SDK raises; BundleError when it was changed while it was packed.
    """
    with scratch.folder() as folder:
        archive = folder / "model.tar.gz"
        pack(bundle.folder, archive)
        if bundles.verify(bundle.folder).hash != bundle.hash:
            raise BundleError("the bundle was changed while it was packed: manifest.json", str(bundle.folder))
        digest = files.sha256(archive)
        key = f"{prefix.rstrip('/')}/{bundle.hash[:16]}-{digest[:16]}/model.tar.gz"
        if not _is_there(s3, bucket, key, digest):
            s3.upload_file(str(archive), bucket, key, ExtraArgs={"Metadata": {DIGEST: digest}})
    return f"s3://{bucket}/{key}"


def pack(folder: Path, archive: Path) -> None:
    """Write a folder's files as a compressed archive; equal files give equal bytes."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            about = tarfile.TarInfo(path.relative_to(folder).as_posix())
            about.size, about.mode = path.stat().st_size, 0o644
            with path.open("rb") as file:
                tar.addfile(about, file)


def _is_there(s3: Any, bucket: str, key: str, digest: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        about = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        # Without the right to list a bucket, S3 answers 403 to a question about a key that is not there.
        if str(error.response["Error"]["Code"]) in ("404", "403", "NoSuchKey"):
            return False
        raise
    return bool(about["Metadata"].get(DIGEST) == digest)
