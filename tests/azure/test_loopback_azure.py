"""The core of the loopback Azure, on which tests of the plugins rely."""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from tests.azure.azure import Azure

requests = pytest.importorskip("requests")
pytest.importorskip("azure.identity")
pytest.importorskip("azure.storage.blob")


@pytest.fixture
def container(azure: Azure) -> Any:
    """A container of the workspace's store, through the real SDK."""
    from azure.storage.blob import ContainerClient

    from tests.azure.storage import CONTAINER, HOST, sas

    return ContainerClient(
        f"https://{HOST}", CONTAINER, credential=sas(), retry_total=1, retry_backoff_factor=0, initial_backoff=0
    )


def sign_in() -> str:
    from azure.identity import EnvironmentCredential

    return EnvironmentCredential(retry_total=0).get_token("https://management.azure.com/.default").token


def test_a_service_principal_signs_in_and_sees_its_subscription(azure: Azure) -> None:
    from tests.azure.workspace import SUBSCRIPTION

    address = "https://management.azure.com/subscriptions?api-version=2022-12-01"
    response = requests.get(address, headers={"Authorization": f"Bearer {sign_in()}"}, timeout=10)
    assert [each["subscriptionId"] for each in response.json()["value"]] == [SUBSCRIPTION]
    assert requests.get(address, timeout=10).status_code == 401


def test_a_refused_sign_in_gives_no_token(azure: Azure) -> None:
    from azure.core.exceptions import ClientAuthenticationError

    azure.identity.refusing = True
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        sign_in()


def test_blobs_come_back_as_they_were_stored(container: Any, azure: Azure) -> None:
    container.upload_blob("folder/small", b"little", metadata={"by": "test"})
    container.upload_blob("folder/large", b"x" * 9_000_000, max_concurrency=2)
    assert container.download_blob("folder/small").readall() == b"little"
    assert len(container.download_blob("folder/large").readall()) == 9_000_000
    assert [each.name for each in container.list_blobs(name_starts_with="folder/")] == ["folder/large", "folder/small"]
    assert sorted(azure.storage.below("ftkitstore/azureml-blobstore/folder")) == ["large", "small"]


def test_a_connection_cut_in_the_middle_of_an_upload_leaves_no_blob(container: Any, azure: Azure) -> None:
    from azure.core.exceptions import ServiceRequestError, ServiceResponseError

    fault = azure.fail("PUT", "blob", cut="upload", times=9)
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        container.upload_blob("folder/blob", b"x" * 500_000)
    assert fault.struck >= 1
    assert not azure.storage.blobs


def test_a_cut_answer_is_lost_after_the_work_is_done(container: Any, azure: Azure) -> None:
    azure.fail("PUT", "blob", cut="answer")
    container.upload_blob("folder/blob", b"x", overwrite=True)  # the second attempt
    assert len(azure.requests("PUT", "folder/blob")) == 2


def test_a_throttled_answer_carries_the_time_to_wait(azure: Azure) -> None:
    from tests.azure.faults import too_many_requests

    azure.fail("GET", "/subscriptions", too_many_requests(3))
    address = "https://management.azure.com/subscriptions?api-version=2022-12-01"
    response = requests.get(address, timeout=10)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "3")


def test_unanswered_calls_and_foreign_hosts_are_complained_about(azure: Azure) -> None:
    token = {"Authorization": f"Bearer {sign_in()}"}
    assert (
        requests.get("https://management.azure.com/nothing?api-version=1", headers=token, timeout=10).status_code == 404
    )
    assert requests.get("https://pypi.org/simple/", timeout=10).status_code == 502
    with pytest.raises(requests.ConnectionError):
        request_past_the_proxy()
    assert [complaint.partition(":")[0] for complaint in azure.complaints] == [
        "no service answered",
        "a foreign host was called",
        "the proxy was bypassed",
    ]
    azure.complaints.clear()


def request_past_the_proxy() -> None:
    """Call a host without the proxy."""
    with requests.Session() as session:
        session.trust_env = False
        session.get("http://example.org/", timeout=10)


@pytest.fixture
def served(azure: Azure) -> Any:
    """Waits until the proxy's threads for clients of this test have ended."""
    before = set(threading.enumerate())

    def wait() -> None:
        for thread in set(threading.enumerate()) - before:
            thread.join(timeout=30)
            assert not thread.is_alive()

    return wait


def test_a_client_that_does_not_trust_the_authority_is_complained_about(azure: Azure, served: Any) -> None:
    import certifi

    with pytest.raises(requests.exceptions.SSLError):
        requests.get("https://management.azure.com/subscriptions", verify=certifi.where(), timeout=10)
    served()
    assert [complaint.partition(":")[0] for complaint in azure.complaints] == [
        "no TLS with a client of management.azure.com"
    ]
    azure.complaints.clear()


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("first_bytes", ["", "\x16\x03\x01"], ids=["before its first message", "within it"])
def test_a_client_that_was_killed_while_it_connected_causes_no_complaint(
    azure: Azure, served: Any, first_bytes: str, reset: bool
) -> None:
    with _tunnel(azure) as client:
        client.sendall(first_bytes.encode())
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    served()
    assert not azure.complaints
    assert sign_in(), "others are served as before"


def test_half_a_request_is_not_answered(azure: Azure) -> None:
    address = urlsplit(azure.environment["HTTPS_PROXY"])
    with socket.create_connection((address.hostname, address.port), timeout=10) as client:
        client.sendall(b"PUT http://management.azure.com/half HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        client.shutdown(socket.SHUT_WR)
        assert not client.recv(1)
    assert not azure.requests("PUT", "/half")


def _tunnel(azure: Azure) -> socket.socket:
    """A connection through the proxy to Azure, before TLS."""
    address = urlsplit(azure.environment["HTTPS_PROXY"])
    client = socket.create_connection((address.hostname, address.port), timeout=10)
    client.sendall(b"CONNECT management.azure.com:443 HTTP/1.1\r\n\r\n")
    assert client.recv(100).startswith(b"HTTP/1.1 200")
    return client
