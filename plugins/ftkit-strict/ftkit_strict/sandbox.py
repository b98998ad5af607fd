"""Separates a process from its machine: no network, and no files that another machine would not have.

There are two layers, because neither catches everything. Where the system allows namespaces, the process gets an empty
network and sees chosen folders empty: that holds for native code as well. And an audit hook of Python sees every connection, every
name lookup and every file that is opened, refuses those that are not allowed, and records them.

Source: namespaces(7) and mount_namespaces(7); PEP 578, "Python Runtime Audit Hooks".
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

NEW_FOLDERS, NEW_USER, NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000
RECURSIVELY_PRIVATE = 0x4000 | 0x40000

SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/opt", "/proc", "/sys", "/dev", "/run", "/var"),
    *("/nix", "/snap", "/gnu", "/System", "/Library", "/Applications", "/private/etc", "/private/var/db"),
)
"""Folders of the system, with installed software in them."""

NETWORK = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
NAMES = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"})


def enter_namespaces(hidden: Sequence[Path]) -> bool:
    """Give this process, which must have one thread, an empty network and empty folders; whether the system allows it."""
    if sys.platform != "linux":
        return False
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    privileged = libc.unshare(NEW_NETWORK | NEW_FOLDERS) == 0
    if not privileged:
        if libc.unshare(NEW_USER | NEW_NETWORK | NEW_FOLDERS) != 0:
            return False
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with suppress(OSError):
                Path(f"/proc/self/{name}").write_text(text, encoding="ascii")
    if libc.mount(b"none", b"/", None, RECURSIVELY_PRIVATE, None) == 0:
        for folder in hidden:
            if folder.is_dir():
                libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, None)
    return True


def software_folders() -> list[str]:
    """Folders with installed software: the system's, Python's, and the sources of editable installs."""
    from importlib.metadata import distributions
    from json import loads
    from urllib.parse import unquote, urlsplit

    folders = {*SYSTEM, sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()}
    folders |= {path for path in sys.path if path} | {os.path.dirname(os.path.realpath(sys.executable))}
    for distribution in distributions():
        with suppress(OSError, ValueError, TypeError, AttributeError):
            origin = loads(distribution.read_text("direct_url.json") or "{}")
            if origin.get("dir_info", {}).get("editable"):
                folders.add(unquote(urlsplit(origin["url"]).path))
    return sorted({path for folder in folders for path in (os.path.abspath(folder), os.path.realpath(folder))} - {"/"})


class AccessGuard:
    """Refuses connections, and the reading of files outside the allowed folders, and records what was refused."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self.allowed = tuple(f"{path.rstrip(os.sep)}{os.sep}" for path in allowed)
        self.own_names = {None, "", b"", "localhost", socket.gethostname()}
        self.hosts: list[str] = []
        """Refused hosts, in the order of their first use."""
        self.files: list[str] = []
        """Refused files, in the order of their first use."""

    def start(self) -> None:
        """Refuse from now on; an audit hook cannot be removed, so this holds until the process ends."""
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            self._check_file(arguments[0], arguments[2])
        elif event in NAMES:
            host = arguments[0][0] if isinstance(arguments[0], tuple) else arguments[0]
            if host not in self.own_names:
                self._refuse_host(host if isinstance(host, str) else repr(host))
        elif event in NETWORK and arguments[0].family != socket.AF_UNIX:
            address = arguments[1] if len(arguments) > 1 else None
            self._refuse_host(":".join(map(str, address[:2])) if isinstance(address, tuple) else repr(address))

    def _refuse_host(self, host: str) -> None:
        if host not in self.hosts:
            self.hosts.append(host)
        raise ConnectionRefusedError(f"there is no network here: {host}")

    def _check_file(self, path: Any, flags: Any) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a file descriptor
        if isinstance(flags, int) and flags & os.O_ACCMODE == os.O_WRONLY:
            return
        path = os.path.abspath(os.fsdecode(path))
        if any(f"{each}{os.sep}".startswith(self.allowed) for each in (path, os.path.realpath(path))):
            return
        if os.path.isdir(path) or not os.path.lexists(path):
            return
        if path not in self.files:
            self.files.append(path)
        raise FileNotFoundError(2, "this file is neither in the bundle nor installed", path)
