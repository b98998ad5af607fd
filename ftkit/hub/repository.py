"""A model's repository on the Hugging Face hub: made with its first commit, and never left with half of the files.

Source: Hugging Face, `huggingface_hub.HfApi`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.bundled_plugins import how_to_install
from ftkit.encoders.hub import first_line
from ftkit.errors import FtkitError, PluginError, RegistryError, UsageError
from ftkit.hub.card import FOLDER

if TYPE_CHECKING:
    from huggingface_hub import HfApi

ALWAYS_THERE = ".gitattributes"
"""The hub adds this file to every repository."""
MARK = f"{FOLDER}/manifest.json"
"""A repository with this file was made by `ftkit push`, and its files may be replaced."""


@dataclass(frozen=True)
class Pushed:
    """What a push has left on the hub."""

    repository: str
    url: str
    commit: str
    private: bool
    created: bool
    """Whether the repository is new."""
    changed: bool
    """Whether there was anything to commit."""


@dataclass(frozen=True)
class Target:
    """A repository as it is before anything is written."""

    name: str
    account: str
    exists: bool
    private: bool
    commit: str | None
    files: tuple[str, ...]


def require_package() -> None:
    """Raises: PluginError unless the hub's library is installed."""
    if importlib.util.find_spec("huggingface_hub") is None:
        hint = f"Install it: {how_to_install('huggingface_hub')}"
        raise PluginError("the library of the Hugging Face hub is not installed", hint=hint)


def look(repository: str, public: bool) -> Target:
    """The repository that is to be written, of the account's own where the name has no owner; nothing is changed.

    Raises: UsageError for a name that the hub does not take, and a repository that holds something else or is seen by others than
    asked for; RegistryError.
    """
    from huggingface_hub import HfApi, errors
    from huggingface_hub.utils import disable_progress_bars, validate_repo_id

    disable_progress_bars()
    try:
        validate_repo_id(repository)
    except errors.HFValidationError as error:
        raise UsageError(
            f"{repository!r} is no name of a repository",
            hint=f"Write OWNER/NAME: letters, digits, `-`, `_` and `.`. {first_line(error)}",
        ) from error
    api = HfApi()
    with _refusals(repository):
        account = str(api.whoami()["name"])
    name = repository if "/" in repository else f"{account}/{repository}"
    with _refusals(name, account):
        try:
            info = api.model_info(name)
        except errors.RepositoryNotFoundError as error:
            if isinstance(error, errors.GatedRepoError):
                raise
            return Target(name, account, False, not public, None, ())
    files = tuple(each.rfilename for each in info.siblings or ())
    target = Target(name, account, True, bool(info.private), info.sha, files)
    _require_ours(target)
    _require_visibility(target, public)
    return target


def write(target: Target, files: Mapping[str, Path | bytes], message: str) -> Pushed:
    """Bring these files into the repository by one commit, in place of all that were there; make it first if it is new.

    A repository that was made and not filled is removed again.
    Raises: RegistryError, which says so where it could not be removed.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi()
    if not target.exists:
        with _refusals(target.name, target.account):
            api.create_repo(target.name, private=target.private)
    gone = [each for each in target.files if each not in files and each != ALWAYS_THERE]
    operations: list[Any] = [CommitOperationDelete(path_in_repo=each) for each in gone]
    operations += [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=each if isinstance(each, bytes) else str(each))
        for name, each in files.items()
    ]
    try:
        with _refusals(target.name, target.account):
            commit = api.create_commit(target.name, operations, commit_message=message, parent_commit=target.commit)
    except BaseException as error:  # also Ctrl-C
        if not target.exists:
            _remove(api, target.name, error)
        raise
    changed = commit.oid != target.commit
    url = f"{api.endpoint}/{target.name}"
    return Pushed(target.name, url, commit.oid, target.private, not target.exists, changed)


def _require_ours(target: Target) -> None:
    others = sorted(set(target.files) - {ALWAYS_THERE})
    if others and MARK not in target.files:
        raise UsageError(
            f"{target.name} holds something else: {', '.join(others[:3])}{' …' if len(others) > 3 else ''}",
            hint="Name a new repository: what `ftkit push` did not write is not replaced.",
        )


def _require_visibility(target: Target, public: bool) -> None:
    if target.private and public:
        raise UsageError(
            f"{target.name} is private, and pushing does not change that",
            hint="Make it public in its settings on the hub, or leave --public out.",
        )
    if not target.private and not public:
        raise UsageError(
            f"{target.name} is public: everybody would see the model, the recipe and the sample texts",
            hint="If you mean that, add --public; else name another repository.",
        )


def _remove(api: HfApi, repository: str, error: BaseException) -> None:
    """Remove the repository that this push has made; where that fails, the error says that it is still there."""
    try:
        api.delete_repo(repository)
    except Exception as failure:  # the first error is the one to report
        if isinstance(error, FtkitError):
            error.hint = (
                f"{error.hint} The repository {repository} was made and could not be removed ({first_line(failure)}): "
                f"hf repos delete {repository}."
            ).strip()


@contextmanager
def _refusals(repository: str, account: str = "") -> Iterator[None]:
    """Turn what the hub, its library or the network refuses into an error with a hint. Raises: RegistryError."""
    try:
        yield
    except Exception as error:
        raise _in_words(error, repository, account) from error


def _in_words(error: Exception, repository: str, account: str) -> RegistryError:
    from huggingface_hub import constants, errors

    place = constants.ENDPOINT
    if isinstance(error, errors.LocalTokenNotFoundError):
        hint = "Set HF_TOKEN to a token that may write, or log in: hf auth login."
        return RegistryError("the hub needs a token, and there is none", where=place, hint=hint)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return RegistryError("the hub's library is offline", where=place, hint="Unset HF_HUB_OFFLINE and push again.")
    if isinstance(error, ValueError) and "metadata" in str(error):
        lines = " ".join(str(error).split())
        hint = "Nothing was pushed. A licence is spelt as the hub does, such as apache-2.0: --licence NAME."
        return RegistryError(f"the hub refuses the head of the card: {lines[:400]}", where=place, hint=hint)
    response = next((each for each in _causes(error) if isinstance(each, errors.HfHubHTTPError)), None)
    if response is None:
        hint = "Check the network and HF_ENDPOINT, then give the same command: a push is there whole or not at all."
        return RegistryError(f"the hub cannot be reached: {first_line(_causes(error)[-1])}", where=place, hint=hint)
    status = response.response.status_code
    answer = f" ({response.server_message})" if response.server_message else ""
    owner = repository.partition("/")[0]
    if status == 401:
        hint = "Set HF_TOKEN to a token that is valid and may write, or log in again: hf auth login."
        return RegistryError(f"the hub does not accept the token{answer}", where=place, hint=hint)
    if status in (403, 404):
        what = f"the account {account} may not write to {repository}{answer}" if account else f"refused{answer}"
        hint = f"Use a token with write access to {owner}, or push to your own name: {account or 'ACCOUNT'}/NAME."
        return RegistryError(what, where=place, hint=hint)
    if status in (409, 412):
        hint = "Nothing was pushed. Give the same command: it looks at the repository again."
        return RegistryError(f"{repository} has changed meanwhile{answer}", where=place, hint=hint)
    hint = "Nothing was pushed. Give the same command later."
    return RegistryError(f"the hub answered with status {status}{answer}", where=place, hint=hint)


def _causes(error: BaseException) -> list[BaseException]:
    causes = [error]
    while cause := causes[-1].__cause__:
        causes.append(cause)
    return causes
