"""Whether a bundle may leave this machine: let through by its tests or by a person, and without secrets in its files."""

from __future__ import annotations

from datetime import UTC, datetime

from ftkit.bundle import promotion_record as records
from ftkit.bundle.bundle import MANIFEST, Bundle
from ftkit.bundle.promotion_record import PromotionRecord
from ftkit.disclosure import without_secrets
from ftkit.errors import BundleError, UsageError
from ftkit.redaction import redacted


def record_to_push(bundle: Bundle, override: str | None) -> PromotionRecord:
    """The record that goes with the bundle; an override is in this copy alone, so that it opens no deployment here.

    Raises: UsageError.
    """
    record = bundle.record
    if record is None:
        raise UsageError(
            "the bundle has no promotion record, so nobody knows whether it passed its tests",
            where=str(bundle.folder),
            hint="Push what `ftkit run` has tested; a run that broke off before its tests goes on with the same command.",
        )
    reason = without_secrets(override or "").strip()
    if record.passing:
        if override is not None:
            raise UsageError(
                f"there is nothing to override: this model was let through. {record.conclusion}",
                where=str(bundle.folder),
                hint="Leave --override out.",
            )
        return record
    if override is None:
        raise UsageError(
            f"this model was not let through. {record.sentence}",
            where=str(bundle.folder),
            hint='To push it all the same: --override "why". Your name and the reason go into the record that is pushed.',
        )
    if not reason:
        raise UsageError("an override needs a reason", hint='Say why: --override "why".')
    return record.overridden(reason, records.whoever(), datetime.now(UTC).isoformat(timespec="milliseconds"))


def require_no_secrets(bundle: Bundle) -> None:
    """Refuse a bundle whose recipe or manifest holds a secret: both are pushed as they are. Raises: BundleError."""
    for name in ("recipe.toml", MANIFEST):
        lines = (bundle.folder / name).read_text(encoding="utf-8").splitlines()
        number = next((number for number, line in enumerate(lines, 1) if redacted(line) != line), None)
        if number is not None:
            raise BundleError(
                "the line holds a secret, and would be pushed with the bundle",
                where=f"{bundle.folder / name}:{number}",
                hint="Keep secrets in the environment, not in the recipe, and run it again.",
            )
