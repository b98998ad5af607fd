"""What the contenders of the promotion tests answered to the test rows, in a run's folder `tested/`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit import files
from ftkit.errors import LedgerError
from ftkit.runs import written_files

if TYPE_CHECKING:
    import numpy as np

FOLDER = "tested"


def write(run: Path, predictions: Mapping[str, np.ndarray]) -> None:
    """Store each contender's probabilities, (rows, classes), whole or not at all. Raises: LedgerError."""
    import numpy as np

    try:
        with files.atomic_folder(run / FOLDER) as folder:
            for name, probabilities in predictions.items():
                np.save(folder / f"{name}.npy", np.asarray(probabilities, dtype=np.float64), allow_pickle=False)
            written_files.seal(folder)
    except OSError as error:
        raise LedgerError(
            f"the probabilities of the test rows cannot be stored: {error.strerror}",
            where=str(run),
            hint="Make room, then give the same command: the trained models are kept.",
        ) from error


def read(run: Path) -> dict[str, np.ndarray]:
    """The probabilities by contender; empty where there are none. Raises: OSError; ValueError where they were changed."""
    import numpy as np

    paths = sorted((run / FOLDER).glob("*.npy"))
    for path in paths:
        written_files.check(path)
    return {path.stem: np.load(path, allow_pickle=False) for path in paths}
