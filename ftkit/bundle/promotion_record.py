"""The promotion record: what was tested, on which data, with which verdicts, by whom, and who let it through.

It is the file `promotion.json` in the bundle's folder and stays with the bundle: in the registry, on an endpoint, on another
machine. It contains the bundle's hash and a digest of all its other values, and its text is determined by its values, so that
every changed byte is noticed. With `FTKIT_RECORD_KEY` in the environment it is also signed, and a record without a signature by
that key is refused: a digest protects against accidents, a signature also against forgery.
"""

from __future__ import annotations

import getpass
import hashlib
import hmac
import json
import math
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ftkit import files, strict_json
from ftkit.contracts.monitoring import Profile
from ftkit.contracts.types import AUTO, NATIVE, Verdict
from ftkit.errors import BundleError
from ftkit.evaluation import prediction_profile as profiles

FORMAT = 1
NAME = "promotion.json"
KEY = "FTKIT_RECORD_KEY"
"""Environment variable with the secret that records are signed with, and must be signed with."""
BY = "FTKIT_USER"
"""Environment variable with the name of whoever runs ftkit, where the account's name says too little."""


@dataclass(frozen=True)
class Override:
    """A person's decision to let a model through that the tests did not."""

    reason: str
    by: str
    at: str
    """ISO 8601, UTC."""


@dataclass(frozen=True)
class PromotionRecord:
    """What the promotion gate decided about one bundle, and on what grounds."""

    bundle: str
    """The bundle's hash."""
    run: str
    recipe: str
    """SHA-256 of the resolved recipe with which the tests were run."""
    tests: Sequence[Mapping[str, Any]]
    """The promotion tests with all their options, as the resolved recipe has them."""
    data: str
    """The data set's fingerprint."""
    rows: int
    """Rows of the test split."""
    verdicts: tuple[Verdict, ...]
    """Their charts stay in the run's journal: the record's file leaves them out."""
    metrics: Mapping[str, float]
    """Test metrics of the candidate."""
    champion: Mapping[str, str] | None
    """Model, version and bundle hash that the candidate was measured against."""
    promoted: bool
    """Whether the tests let it through; an override does not change that."""
    sentence: str
    by: str
    """Who ran the gate."""
    at: str
    """When the gate decided: ISO 8601, UTC."""
    ftkit: str
    """The version that decided."""
    override: Override | None = None
    name: str = field(default="", kw_only=True)
    """The recipe's name."""
    profile: Profile | None = field(default=None, kw_only=True)
    """The distribution of the candidate's answers to the test split: live answers are compared with it. Older records have none."""
    plugins: Mapping[str, Mapping[str, str]] | None = field(default=None, kw_only=True)
    """Every plugin that could take part in the gate: its version, and SHA-256 of its files. Older records have none."""

    @property
    def passing(self) -> bool:
        """Whether the bundle may be deployed."""
        return self.promoted or self.override is not None

    @property
    def conclusion(self) -> str:
        """The decision in a sentence, with the person who overrode the tests where one did."""
        if self.override is None:
            return self.sentence
        return f"Promoted against its tests by {self.override.by}: {self.override.reason}"

    @property
    def undecided(self) -> tuple[str, ...]:
        """Names of the tests that broke off, and so decided nothing."""
        return tuple(verdict.test for verdict in self.verdicts if verdict.status == "error")

    def allows(self, engine: str) -> bool:
        """Whether the bundle may be deployed on this engine.

        Other engines than the native one give slightly other answers. So a test must have passed the answers of the engine, or it
        failed them and a person let the bundle through all the same.
        """
        if engine in (NATIVE, AUTO):
            return self.passing
        judgements = self._judgements(engine)
        return self.passing and bool(judgements) and (all(judgements) or self.override is not None)

    def passed(self, engine: str) -> bool:
        """Whether the engine's answers passed the promotion tests; an override does not count."""
        judgements = self._judgements(engine)
        return engine == NATIVE or (self.passing and bool(judgements) and all(judgements))

    @property
    def digest(self) -> str:
        """SHA-256 over every value of the record."""
        return hashlib.sha256(_canonical(self._table()).encode()).hexdigest()

    @property
    def text(self) -> str:
        """The record's file: the same bytes for the same record."""
        table = {**self._table(), "digest": self.digest}
        if secret := os.environ.get(KEY):
            table["signature"] = _signature(secret, self.digest)
        return _canonical(table)

    def _judgements(self, engine: str) -> list[float]:
        key = judged(engine)
        return [each.numbers[key] for each in self.verdicts if key in each.numbers]

    def overridden(self, reason: str, by: str, at: str) -> PromotionRecord:
        """The same record with a person's decision in it."""
        return replace(self, override=Override(reason, by, at))

    @property
    def table(self) -> dict[str, Any]:
        """Every value of the record, charts included, as a journal keeps it; `from_table` reads it."""
        table = asdict(self)
        for later in ("profile", "plugins"):
            if table[later] is None:
                del table[later]  # so that an older record is written with the same bytes as before
        return table

    def _table(self) -> dict[str, Any]:
        verdicts = [{key: value for key, value in asdict(each).items() if key != "figure"} for each in self.verdicts]
        return {"format": FORMAT, **self.table, "verdicts": verdicts}


def from_table(table: Mapping[str, Any]) -> PromotionRecord:
    """The record that such a table holds. Raises: KeyError, TypeError, ValueError, AttributeError."""
    override, profile = table["override"], table.get("profile")
    values = {
        "verdicts": tuple(Verdict(**verdict) for verdict in table["verdicts"]),
        "override": Override(**override) if override else None,
        "profile": profiles.read(profile) if profile else None,
    }
    record = PromotionRecord(**{**table, **values})
    _check_types(record)
    return record


def _check_types(record: PromotionRecord) -> None:
    """Raises: TypeError, AttributeError for a value of another type: what reads a record relies on them."""
    texts = [record.bundle, record.run, record.recipe, record.data, record.sentence, record.by, record.at, record.ftkit]
    texts += [record.name, *(text for each in record.verdicts for text in (each.test, each.status, each.sentence))]
    texts += [*vars(record.override).values()] if record.override else []
    texts += [text for pair in (record.champion or {}).items() for text in pair]
    numbers = [*record.metrics.values(), *(number for each in record.verdicts for number in each.numbers.values())]
    if not all(isinstance(each, str) for each in texts) or not isinstance(record.promoted, bool):
        raise TypeError("a value of the record is of another type")
    if not all(each is None or isinstance(each, int | float) for each in (record.rows, *numbers)):
        raise TypeError("a number of the record is none")
    if not all(isinstance(each, Mapping) for each in record.tests):
        raise TypeError("the tests of the record are no tables")


def write(folder: Path, record: PromotionRecord) -> None:
    """Put a record into its bundle's folder, replacing an older one. Raises: BundleError when the disk does not take it."""
    try:
        # A kill in the middle must not leave an unlisted file in the bundle.
        files.write_text(folder / NAME, record.text, staging=folder.parent)
    except OSError as error:
        raise BundleError(
            f"the promotion record cannot be written: {error.strerror or error}",
            where=str(folder / NAME),
            hint="Make room or fix the permissions, then give the same command: the decision is kept.",
        ) from error


def read(folder: Path, bundle: str) -> PromotionRecord | None:
    """The record of the bundle with this hash, or None when it has none.

    Raises: BundleError when it was changed, is about another bundle, or lacks the required signature.
    """
    path = folder / NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BundleError(
            f"the promotion record cannot be read: {error.strerror or error}",
            where=str(path),
            hint="Fix the permissions or the disk, or fetch the bundle again from the registry.",
        ) from error
    try:
        table = strict_json.parse_object(content)
        signature, digest, format_ = table.pop("signature", None), table.pop("digest"), table.pop("format")
        if format_ != FORMAT:
            raise BundleError(
                f"the promotion record has format {format_}, this ftkit reads format {FORMAT}",
                where=str(path),
                hint=f"Use ftkit {table.get('ftkit', 'in the version that wrote it')}.",
            )
        record = from_table(table)
        seals = {"digest": digest, **({"signature": signature} if signature is not None else {})}
        intact = digest == record.digest and content == _canonical({**record._table(), **seals}).encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise BundleError("the promotion record was changed since it was written", where=str(path), hint=_AGAIN)
    if record.bundle != bundle:
        raise BundleError(
            f"the promotion record is about another bundle: {record.bundle[:12]}, not {bundle[:12]}",
            where=str(path),
            hint=_AGAIN,
        )
    secret = os.environ.get(KEY)
    if secret and not (signature and hmac.compare_digest(signature, _signature(secret, digest))):
        raise BundleError(
            f"the promotion record is not signed with the key in {KEY}",
            where=str(path),
            hint="Run the recipe where that key is set, or let the bundle through there with `ftkit promote`.",
        )
    return record


def judged(engine: str) -> str:
    """The name of the number in a verdict that is 1 if this engine's answers passed the test, else 0."""
    return f"engine {engine}"


def sha256(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def whoever() -> str:
    """Who runs ftkit: FTKIT_USER, or the account and the machine."""
    if name := os.environ.get(BY, "").strip():
        return name
    try:
        account = getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name, as containers have them
        account = f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return f"{account}@{socket.gethostname()}"


_AGAIN = "Restore it from the registry or a copy, or run the recipe again: a record is never edited by hand."


def _signature(secret: str, digest: str) -> str:
    return hmac.new(secret.encode(), digest.encode(), hashlib.sha256).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(_plain(value), indent=2, sort_keys=True) + "\n"


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: NaN and infinity become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "item"):  # a numpy number
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
