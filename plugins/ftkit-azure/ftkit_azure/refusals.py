"""What Azure answers, as errors of ftkit: what happened, where, and how to repair it, whichever SDK raised it.

An exception of either SDK is read without importing the SDK: its status, its code, its message, and those of the exceptions that it was
raised from. The first rule of `ftkit_azure.rules` that fits explains the refusal, and the status does where none fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ftkit.errors import FtkitError, StageError
from ftkit_azure.rules import AGAIN, ENVIRONMENT, ROLES, RULES, SIGN_IN

__all__ = [
    "AGAIN",
    "TRANSIENT",
    "Explanation",
    "Refusal",
    "as_error",
    "explain",
    "is_about_workspace",
    "is_missing",
    "is_transient",
    "read",
]

TRANSIENT = (408, 429, 500, 502, 503, 504)
"""Statuses of answers that may be others the next time."""
LONGEST = 600
"""Characters of an answer that an error shows."""


class Explanation(NamedTuple):
    """What happened, and how to repair it; empty where nobody can say."""

    what: str
    hint: str


_ACTION = re.compile(r"perform action '(?P<action>[^']+)'(?:[^']*over scope '(?P<scope>[^']+)')?")


@dataclass(frozen=True)
class Refusal:
    """An answer of Azure, or why there was none."""

    status: int | None
    code: str
    message: str
    texts: str
    """All that the exceptions say, those included that this one was raised from."""
    unreachable: bool = False

    @property
    def shown(self) -> str:
        """The message in one line, without a secret."""
        from ftkit.redaction import redacted

        code = f" ({self.code})" if self.code and self.code not in self.message else ""
        return redacted(f"{self.message}{code}")[:LONGEST]


def explain(error: BaseException) -> Explanation:
    """What an exception of either SDK means. An error of ftkit explains itself."""
    if isinstance(error, FtkitError):
        return Explanation(error.what, error.hint)
    refusal = read(error)
    if explanation := _authorization(refusal):
        return explanation
    for rule in RULES:
        if re.search(rule.pattern, refusal.texts):
            return Explanation(f"{rule.what}: {refusal.shown}", rule.hint)
    return _by_status(refusal)


def as_error(error: BaseException, kind: type[StageError], where: str, what: str = "", hint: str = "") -> StageError:
    """An exception of either SDK as an error of this kind; `what` says what was tried, `hint` what helps where nothing else does."""
    explanation = explain(error)
    tried = f"{what}: {explanation.what}" if what else explanation.what
    return kind(tried, where, explanation.hint or hint)


def read(error: BaseException) -> Refusal:
    """Status, code and message of an exception, and of those that it was raised from."""
    chain = list(_chain(error))
    statuses = (status for each in chain if (status := _status(each)) is not None)
    codes = (code for each in chain if (code := _code(each)))
    return Refusal(
        status=next(statuses, None),
        code=next(codes, ""),
        message=_message(error),
        texts="\n".join(f"{type(each).__name__} {_code(each)} {_message(each)} {_text(each)}" for each in chain)[
            :20_000
        ],
        unreachable=any(_is_unreachable(each) for each in chain),
    )


def is_transient(error: BaseException) -> bool:
    """Whether an error may pass by itself: throttling, a failure of the service, a connection that was cut."""
    for each in _chain(error):
        status = _status(each)
        if status in TRANSIENT or isinstance(each, ConnectionError) or (status is None and _is_unreachable(each)):
            return True
    return False


def is_missing(error: BaseException) -> bool:
    """Whether an exception says that something in a workspace does not exist; a workspace that does not exist is another thing."""
    return _status(error) == 404 and not is_about_workspace(error)


def is_about_workspace(error: BaseException) -> bool:
    """Whether what does not exist is the workspace itself, or what it is in."""
    refusal = read(error)
    return refusal.status == 404 and bool(
        re.search(
            r"SubscriptionNotFound|ResourceGroupNotFound|ParentResourceNotFound|workspaces/[^/'\" ]+'", refusal.texts
        )
    )


def _authorization(refusal: Refusal) -> Explanation | None:
    """What lacks the right to act on a resource of Azure Resource Manager, and which role has it."""
    if not re.search(
        r"AuthorizationFailed|does not have (authorization|permission)s? to perform action", refusal.texts
    ):
        return None
    denied = _ACTION.search(refusal.texts)
    action, scope = (denied["action"], denied["scope"] or "") if denied else ("", "")
    role = next(role for pattern, role in ROLES if re.search(pattern, action, re.IGNORECASE))
    place = f" on {scope}" if scope else ""
    allows = f", which allows {action}" if action else ""
    return Explanation(
        f"Azure does not allow this: {refusal.shown}",
        f"Ask the owner for the role {role if action else 'AzureML Data Scientist'}{place}{allows}; a new role takes some minutes to work.",
    )


def _by_status(refusal: Refusal) -> Explanation:
    status = refusal.status
    if status == 401:
        return Explanation(f"{SIGN_IN}: {refusal.shown}", ENVIRONMENT)
    if status == 403:
        return Explanation(
            f"Azure does not allow this: {refusal.shown}",
            "Ask the workspace's owner whether the account has the role AzureML Data Scientist there, and whether network rules or "
            "policies forbid it.",
        )
    if status == 429:
        return Explanation(f"Azure asks to come back later: {refusal.shown}", AGAIN)
    if status is not None and status >= 500:
        return Explanation(f"Azure failed: {refusal.shown}", AGAIN)
    if status is None and refusal.unreachable:
        return Explanation(f"Azure cannot be reached: {refusal.shown}", f"Check the network and its proxy. {AGAIN}")
    if status is not None:
        return Explanation(f"Azure refused: {refusal.shown}", "")
    return Explanation(refusal.shown, "")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those that it was raised from, the outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = getattr(error, "inner_exception", None)
        if isinstance(inner, BaseException) and id(inner) not in seen:
            error = inner
        else:
            error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    for holder in (error, response):
        status = getattr(holder, "status_code", None)
        if isinstance(status, int):
            return status
    return None


def _code(error: BaseException) -> str:
    """The service's code: of an OData error, or in the header of a storage account."""
    code: Any = getattr(getattr(error, "error", None), "code", None) or getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "") if isinstance(code, str) or hasattr(code, "value") else ""


def _message(error: BaseException) -> str:
    """The first paragraph of what an exception says, in one line."""
    nested = getattr(getattr(error, "error", None), "message", None)
    text = nested if isinstance(nested, str) and nested else getattr(error, "message", None) or str(error)
    first = str(text).strip().split("\nContent:")[0]
    return " ".join(first.split()) or type(error).__name__


def _text(error: BaseException) -> str:
    """The whole text of an exception, and of the answer that it carries."""
    body = getattr(getattr(error, "response", None), "text", "")
    return f"{error} {body if isinstance(body, str) else ''}"


def _is_unreachable(error: BaseException) -> bool:
    module, name = type(error).__module__, type(error).__name__
    if module.startswith("azure.core") and name.startswith(("ServiceRequest", "ServiceResponse")):
        return True
    return module.partition(".")[0] in ("requests", "urllib3") or isinstance(error, ConnectionError)
