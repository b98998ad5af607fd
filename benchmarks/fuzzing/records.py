"""Promotion records: changed bytes and values, also with a digest that fits them; none lets a bundle through that its tests did not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from random import Random

from benchmarks.fuzzing.families import Case, Outcome, Silent
from benchmarks.fuzzing.mutations import another_value, damaged, one_byte_changed, written


class Cases:
    """Records of one bundle: passed, failed and overridden."""

    def __init__(self, folder: Path) -> None:
        from ftkit.testing.bundles import toy_record

        self._folder = folder
        self._records = [toy_record("ab" * 32, ended) for ended in ("passed", "failed", "overridden")]  # type: ignore[arg-type]  # of these

    def close(self) -> None:
        """Nothing was started."""

    def case(self, random: Random) -> Case:
        """The text of a record with a change; in a third of the cases with the digest of what is there now."""
        record = random.choice(self._records)
        sealed = random.random() < 0.33
        if sealed:
            table = another_value(
                random, {key: value for key, value in json.loads(record.text).items() if key != "digest"}
            )
            try:
                plain = json.loads(written(table))
                text = json.dumps(plain, indent=2, sort_keys=True) + "\n"
                if isinstance(plain, dict):
                    plain["digest"] = hashlib.sha256(text.encode()).hexdigest()
                content = (json.dumps(plain, indent=2, sort_keys=True) + "\n").encode()
            except (ValueError, RecursionError):
                content = written(table)
        elif random.random() < 0.5:
            content = written(another_value(random, json.loads(record.text)), 2) + b"\n"
        else:
            content = random.choice((one_byte_changed, damaged))(random, record.text.encode())

        def read() -> Outcome:
            from ftkit.bundle import promotion_record as records

            (self._folder / records.NAME).write_bytes(content)
            read = records.read(self._folder, "ab" * 32)
            assert read is not None
            if not sealed and read != record:
                raise Silent(f"another record than was written\n{read}\n{record}")
            for each in (
                read.passing,
                read.conclusion,
                read.undecided,
                read.allows("half"),
                read.passed("half"),
                read.text,
            ):
                str(each)
            return "accepted"

        return Case(f"sealed: {sealed} {content[:3000]!r}", read)
