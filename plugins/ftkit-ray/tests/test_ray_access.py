"""What is refused before a cluster is joined: options, addresses, clusters without authentication. No Ray is started."""

import socket
import subprocess
import sys
from concurrent import futures
from contextlib import contextmanager

import grpc
import pytest
from ftkit_ray import access
from ftkit_ray.cluster import shared_cores
from ftkit_ray.keepers import apart_from_others, differences
from ftkit_ray.platform import RayPlatform

from ftkit.errors import StageError

WRONG = {
    "client": ({"address": "ray://head:10001"}, "this machine has to be a node of the cluster"),
    "port": ({"address": "head"}, "HOST:PORT"),
    "number": ({"address": "head:70000"}, "HOST:PORT"),
    "cores": ({"cpus": 0}, "cpus must be at least 1"),
    "half": ({"gpus": 1.5}, "gpus must be a whole number"),
    "negative": ({"gpus": -1}, "gpus must be a whole number"),
    "named": ({"resources": {"GPU": 1}}, "set gpus"),
    "none": ({"resources": {"TPU": 0}}, "'TPU' is 0"),
    "storage": ({"storage": "data"}, "absolute path"),
    "retries": ({"node_retries": -1}, "node_retries must not be negative"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RayPlatform(**options)


def test_ray_is_not_loaded_to_list_components_and_check_recipes():
    program = (
        "import sys; from ftkit import plugins; plugins.load(); sys.exit('ray' in sys.modules or 'grpc' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("nodes", "at_a_time", "cores"),
    [([8], 1, 8), ([8], 3, 2), ([8, 8], 2, 8), ([8, 4], 3, 4), ([0, 2, 2], 4, 1), ([2], 5, 1), ([], 1, 1)],
)
def test_the_cores_of_a_cluster_are_shared_among_the_trials(nodes, at_a_time, cores):
    assert shared_cores(nodes, at_a_time) == cores


def test_nodes_that_share_no_folder_are_named():
    assert apart_from_others({"a": {"a", "b", "c"}, "b": {"b"}, "c": {"a", "b", "c"}}) == ["b"]
    assert apart_from_others({"a": {"a"}}) == []


def test_versions_are_compared_by_name():
    here = {"Python": "3.11.7", "ftkit": "0.1.0", "ftkit-bert": "0.1.0"}
    names = ("Python", "ftkit", "ftkit-bert")
    assert not differences(here, here | {"Python": "3.11.9", "torch": "2.0"}, names)
    assert differences(here, {"Python": "3.12.7", "ftkit": "0.2.0"}, names) == [
        "Python 3.12.7 for 3.11.7",
        "ftkit 0.2.0 for 0.1.0",
        "ftkit-bert none for 0.1.0",
    ]


@contextmanager
def answering(host, code=None):
    """What answers there as the head of a cluster does, by its port."""

    def check(request, context):
        if code is not None:
            context.abort(code, "no")
        return b""

    method = grpc.unary_unary_rpc_method_handler(check)
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("ray.rpc.NodeInfoGcsService", {"CheckAlive": method})]
    )
    port = server.add_insecure_port(f"{host}:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def test_a_cluster_that_anybody_may_use_is_taken_on_loopback_only(monkeypatch):
    monkeypatch.setattr(access, "_is_loopback", lambda host: host != "localhost")  # this name plays another machine
    with answering("0.0.0.0") as port:
        assert access.admitted(f"127.0.0.2:{port}") == (f"127.0.0.2:{port}", "disabled")
        with pytest.raises(StageError, match="has no authentication") as caught:
            access.admitted(f"localhost:{port}")
    assert "RAY_AUTH_MODE=token" in caught.value.hint


@pytest.mark.parametrize("host", ["10.1.2.3", "head", "::ffff:10.1.2.3"])
def test_other_machines_are_no_loopback(host):
    assert not access._is_loopback(host)
    assert access._is_loopback("127.0.0.2")
    assert access._is_loopback("localhost")


def test_a_cluster_that_listens_on_one_address_alone_is_named():
    with (
        answering("127.0.0.1") as port,
        pytest.raises(StageError, match=r"listens on 127\.0\.0\.1 alone") as caught,
    ):
        access.admitted(f"127.0.0.1:{port}")
    assert "127.0.0.2" in caught.value.hint


def test_what_does_not_answer_or_is_no_cluster_is_named(tmp_path, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        with pytest.raises(StageError, match="the Ray cluster cannot be reached: Connection refused"):
            access.admitted(f"127.0.0.2:{taken.getsockname()[1]}")
    with (
        answering("127.0.0.2", grpc.StatusCode.UNIMPLEMENTED) as port,
        pytest.raises(StageError, match="no Ray cluster: UNIMPLEMENTED"),
    ):
        access.admitted(f"127.0.0.2:{port}")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(StageError, match="belongs to no Ray cluster"):
        access.current()
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("10.0.0.1:6379")
    assert access.current() == "10.0.0.1:6379"
