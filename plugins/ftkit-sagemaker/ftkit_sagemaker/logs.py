"""What the containers of a deployment wrote, in CloudWatch. Source: Amazon SageMaker, "Log Groups and Streams"."""

from __future__ import annotations

from typing import Any

from ftkit_sagemaker import refusals

_PAGES = 5
"""Pages of a log that are asked for at most: CloudWatch may return empty ones."""


def last_lines(cloudwatch: Any, endpoint: str, deployment: str, lines: int) -> str:
    """The last lines of the newest stream of a deployment, without secrets; empty where there is none. Raises: what the SDK raises."""
    from botocore.exceptions import ClientError

    from ftkit.redaction import redacted

    if lines < 1:
        return ""
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    try:
        answer = cloudwatch.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{deployment}/")
        streams = sorted(answer["logStreams"], key=lambda each: each.get("creationTime", 0))
        if not streams:
            return ""
        place = {"logGroupName": group, "logStreamName": streams[-1]["logStreamName"], "startFromHead": False}
        texts: list[str] = []
        token: dict[str, str] = {}
        for _ in range(_PAGES):
            page = cloudwatch.get_log_events(**place, **token, limit=min(lines, 10_000))
            texts = [*(each["message"] for each in page["events"]), *texts]
            if len(texts) >= lines or token.get("nextToken") == page["nextBackwardToken"]:
                break
            token = {"nextToken": page["nextBackwardToken"]}
    except ClientError as error:
        if refusals.is_missing(error):
            return ""
        raise
    return redacted("\n".join("\n".join(texts).rstrip("\n").splitlines()[-lines:]))


def refused(log: str) -> str:
    """Why the container did not serve its bundle, by its log: SageMaker knows only that /ping was not answered."""
    from ftkit.serving.model_host import REFUSED

    return next((after.strip() for line in log.splitlines() if (after := line.partition(f"{REFUSED}: ")[2])), "")
