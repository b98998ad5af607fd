"""What AWS answers, in words: what happened, and what helps. Exceptions of the SDK are read without importing it."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

LONGEST = 600
"""Characters of an answer that an error shows."""

SIGN_IN = (
    "Sign in as boto3 knows it: `aws sso login`, `aws configure`, AWS_PROFILE, or AWS_ACCESS_KEY_ID with its secret."
)
AGAIN = "Give the same command again in some minutes: it goes on."


class Explanation(NamedTuple):
    """What happened, and what helps."""

    what: str
    hint: str


class _Rule(NamedTuple):
    pattern: str
    """Of the exception's class, code and message, in one text."""
    what: str
    hint: str


_RULES = (
    _Rule(
        r"NoCredentials|PartialCredentials|CredentialRetrieval|ProfileNotFound|SSOTokenLoad|TokenRetrieval|UnauthorizedSSOToken",
        "there are no AWS credentials",
        SIGN_IN,
    ),
    _Rule(
        r"ExpiredToken|RequestExpired|TokenRefreshRequired|token .*expired", "the AWS credentials have expired", SIGN_IN
    ),
    _Rule(
        r"InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|SignatureDoesNotMatch|IncompleteSignature"
        r"|MissingAuthenticationToken|InvalidSignature",
        "AWS does not know the credentials",
        f"{SIGN_IN} A clock that is wrong by minutes has the same effect.",
    ),
    _Rule(
        r"NoRegion|InvalidRegion",
        "no AWS region is chosen",
        "Set deploy.region, or AWS_DEFAULT_REGION, or a region in the AWS configuration.",
    ),
    _Rule(
        r"ResourceLimitExceeded|LimitExceeded.*[Ii]nstance",
        "a quota of the account is used up",
        "Ask for more under Service Quotas, Amazon SageMaker, `… for endpoint usage`; or choose another instance_type or fewer instances.",
    ),
    _Rule(
        r"InsufficientCapacity|[Uu]nable to provision|insufficient.*capacity",
        "AWS has no such machines free now",
        f"Choose another instance_type, or wait. {AGAIN}",
    ),
    _Rule(
        r"Could not assume role|trust relationship|cannot be assumed|is not authorized to perform: sts:AssumeRole",
        "SageMaker may not take on the role of deploy.role",
        "The role must exist, trust sagemaker.amazonaws.com, and be allowed s3:GetObject on the bucket and to pull from ECR.",
    ),
    _Rule(
        r"Could not access model data",
        "SageMaker cannot read the model in the bucket",
        "Allow deploy.role s3:GetObject on the bucket, which must be in the endpoint's region.",
    ),
    _Rule(
        r"does not grant ecr|not authorized.*ecr:|[Rr]equested image .*not found|ImageNotFound|RepositoryNotFound",
        "SageMaker cannot pull the image",
        "Push the image to ECR in the endpoint's region, and allow deploy.role to pull it.",
    ),
    _Rule(
        r"ping health check",
        "the container did not answer /ping",
        "Its log says why. Raise startup_timeout if the model needs longer to load.",
    ),
    _Rule(
        r"NoSuchBucket",
        "there is no bucket of this name",
        "Make it in the endpoint's region, `aws s3 mb s3://NAME --region REGION`, or set deploy.bucket.",
    ),
    _Rule(
        r"PermanentRedirect|Moved Permanently|AuthorizationHeaderMalformed|IllegalLocationConstraint",
        "the bucket is in another region than the endpoint",
        "Choose a bucket in the endpoint's region, or set deploy.region to that of the bucket.",
    ),
    _Rule(
        r"[Ii]n-progress endpoint",
        "SageMaker is changing the endpoint",
        f"Somebody else may be deploying to it. {AGAIN}",
    ),
    _Rule(
        r"Throttling|TooManyRequests|RequestLimitExceeded|SlowDown|Rate exceeded", "AWS asks to come back later", AGAIN
    ),
    _Rule(
        r"ValidationException.*image.*region|image.*must be in the same region",
        "the image is in another region than the endpoint",
        "Push the image to ECR in the endpoint's region.",
    ),
    _Rule(
        r"EndpointConnection|ConnectTimeout|ConnectionClosed|ReadTimeout|ProxyConnection|SSLError|HTTPClientError|IncompleteRead"
        r"|ResponseStreaming|ConnectionError",
        "AWS cannot be reached",
        f"Check the network, its proxy, and deploy.region. {AGAIN}",
    ),
)

_DENIED = re.compile(
    r"(?:User: (?P<who>\S+) is not authorized to perform: (?P<action>[\w:*]+)(?: on resource: (?P<resource>\S+))?)"
)


def explain(error: BaseException) -> Explanation:
    """What an exception of the SDK means, by the first rule that fits."""
    error = next((each for each in _chain(error) if _response(each)), error)  # an upload raises its own from AWS's
    texts = "\n".join(f"{type(each).__name__} {code(each)} {message(each)}" for each in _chain(error))
    if (
        re.search(r"AccessDenied|UnauthorizedOperation|is not authorized to perform", texts)
        and "sts:AssumeRole" not in texts
    ):
        return _denied(error, texts)
    for rule in _RULES:
        if re.search(rule.pattern, texts):
            return Explanation(f"{rule.what}: {message(error)}", rule.hint)
    if (status := _status(error)) in (401, 403):
        return _denied(error, texts)
    if status is not None and status >= 500:
        return Explanation(f"AWS failed: {message(error)}", AGAIN)
    return Explanation(f"AWS refused: {message(error)}" if status else message(error), "")


def explain_reason(reason: str) -> Explanation:
    """What a FailureReason of SageMaker means; the hint is empty where no rule fits."""
    hint = next((rule.hint for rule in _RULES if re.search(rule.pattern, reason)), "")
    return Explanation(_shown(reason), hint)


def code(error: BaseException) -> str:
    """The code of a refusal; empty for another exception."""
    return str(_response(error).get("Error", {}).get("Code", ""))


def message(error: BaseException) -> str:
    """What an exception says, in one line, without secrets."""
    return _shown(str(_response(error).get("Error", {}).get("Message", "")) or str(error) or type(error).__name__)


def is_missing(error: BaseException) -> bool:
    """Whether SageMaker, CloudWatch or S3 says that something does not exist."""
    return code(error) in ("404", "NoSuchKey", "ResourceNotFoundException", "ResourceNotFound") or (
        code(error) == "ValidationException" and bool(re.search(r"[Cc]ould not find", message(error)))
    )


def is_taken(error: BaseException) -> bool:
    """Whether a refusal says that the name exists already."""
    return bool(re.search(r"[Cc]annot create already existing", message(error)))


def is_busy(error: BaseException) -> bool:
    """Whether a refusal says that SageMaker is still changing the endpoint."""
    return bool(re.search(r"[Ii]n-progress endpoint", message(error)))


def _denied(error: BaseException, texts: str) -> Explanation:
    operation = str(vars(error).get("operation_name", ""))
    match = _DENIED.search(texts)
    who, action = (match["who"], match["action"]) if match else ("these credentials", _action(operation))
    resource = f" on {match['resource']}" if match and match["resource"] else ""
    hint = f"Allow {who} the action {action}{resource} in IAM."
    if action == "iam:PassRole":
        hint += " It lets SageMaker take on deploy.role."
    return Explanation(f"AWS does not allow this: {message(error)}", hint)


def _action(operation: str) -> str:
    """The IAM action of an operation of S3, whose refusals name none."""
    known = {"HeadObject": "s3:GetObject", "HeadBucket": "s3:ListBucket", "CreateMultipartUpload": "s3:PutObject"}
    return known.get(operation, f"s3:{operation}" if operation.endswith("Object") else operation or "that it needs")


def _shown(text: str) -> str:
    from ftkit.redaction import redacted

    return redacted(" ".join(text.split()))[:LONGEST]


def _response(error: BaseException) -> dict[str, Any]:
    response = vars(error).get("response")
    return response if isinstance(response, dict) else {}


def _status(error: BaseException) -> int | None:
    status = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status if isinstance(status, int) else None


def _chain(error: BaseException | None) -> list[BaseException]:
    """An exception and those that it was raised from or while handling, the outermost first."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain
