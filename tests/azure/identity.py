"""Sign-in at Microsoft Entra: a service principal by its secret, a managed identity by the machine's metadata service.

Source: Microsoft, "OAuth 2.0 client credentials flow" and "How to use managed identities on an Azure VM to acquire an
access token".
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from tests.azure.messages import Request, Response, answer
from tests.azure.routes import Routed, route

TENANT = "11111111-0000-0000-0000-000000000001"
CLIENT = "44444444-0000-0000-0000-000000000004"
SECRET = "s3cret-of-the-service-principal"
LOGIN = "login.microsoftonline.com"

ENVIRONMENT = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, "AZURE_CLIENT_SECRET": SECRET}
"""The usual environment variables of a valid service principal."""


class Identity(Routed):
    """Gives tokens to clients that send the right secret."""

    hosts = (LOGIN, "login.windows.net", "login.microsoft.com")

    def __init__(self) -> None:
        self.refusing = False
        """Refuse every sign-in, with any secret."""

    @route("GET", "/common/discovery/instance")
    def instances(self, request: Request) -> Response:
        return answer(
            {
                "tenant_discovery_endpoint": f"https://{LOGIN}/{TENANT}/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": LOGIN, "preferred_cache": "login.windows.net", "aliases": [LOGIN]}],
            }
        )

    @route("GET", "/{tenant}/v2.0/.well-known/openid-configuration")
    def configuration(self, request: Request, tenant: str) -> Response:
        base = f"https://{LOGIN}/{tenant}"
        return answer(
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "issuer": f"{base}/v2.0",
            }
        )

    @route("POST", "/{tenant}/oauth2/token")
    def old_token(self, request: Request, tenant: str) -> Response:
        """The first version of the protocol, which has a resource in place of a scope."""
        return self._token(request.form, request.form.get("resource", ""))

    @route("POST", "/{tenant}/oauth2/v2.0/token")
    def token(self, request: Request, tenant: str) -> Response:
        return self._token(request.form, request.form["scope"].split()[0].removesuffix("/.default"))

    def _token(self, form: dict[str, str], audience: str) -> Response:
        if self.refusing or (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            message = f"AADSTS7000215: Invalid client secret provided for app '{form.get('client_id')}'."
            return answer({"error": "invalid_client", "error_description": message, "error_codes": [7000215]}, 401)
        return answer(
            {
                "token_type": "Bearer",
                "expires_in": 28800,
                "ext_expires_in": 28800,
                "expires_on": str(int(time.time()) + 28800),
                "resource": audience,
                "access_token": token(audience),
            }
        )


class Machine(Routed):
    """The metadata service of an Azure virtual machine, which gives tokens of its managed identity."""

    hosts = ("169.254.169.254",)

    def __init__(self) -> None:
        self.has_identity = False

    @route("GET", "/metadata/identity/oauth2/token")
    def identity(self, request: Request) -> Response:
        if not self.has_identity:
            return answer({"error": "invalid_request", "error_description": "Identity not found"}, 400)
        if request.headers.get("Metadata") != "true":  # the SDK's probe for the metadata service
            return answer(
                {"error": "invalid_request", "error_description": "Required metadata header not specified"}, 400
            )
        expires = {"expires_in": "28800", "expires_on": str(int(time.time()) + 28800)}
        resource = request.query["resource"]
        return answer({"access_token": token(resource), "resource": resource, "token_type": "Bearer", **expires})


def token(audience: str, **claims: Any) -> str:
    """A token in the form of Entra's; its signature is never checked."""
    now = int(time.time())
    payload = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "iat": now,
        "nbf": now - 10,
        "exp": now + 28800,
        "tid": TENANT,
        "oid": "33333333-0000-0000-0000-000000000003",
        "appid": CLIENT,
        "puid": "100300",
        "upn": "principal@loopback",
        **claims,
    }
    parts = ({"alg": "none", "typ": "JWT"}, payload)
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts), "c2ln"]
    )


def signed_in(request: Request) -> bool:
    """Whether a request carries a token."""
    return request.headers.get("Authorization", "").startswith("Bearer ")
