"""Takes a process away from its machine: no network, and none of the files that another machine would not have.

Two nets, since neither catches everything. Where the system lets it, the process gets a network of its own with nothing in
it and sees chosen folders empty: that holds for native code as well. And Python itself tells of every connection, every name
looked up and every file opened, refuses those that lead elsewhere, and keeps them for the report.

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


def leave(hidden: Sequence[Path]) -> bool:
    """Leave the machine's network and these folders behind; whether the system lets this process, which has one thread."""
    if sys.platform != "linux":
        return False
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    as_it_is = libc.unshare(NEW_NETWORK | NEW_FOLDERS) == 0
    if not as_it_is:
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


def software() -> list[str]:
    """Folders with installed software: the system's, Python's, and those that distributions in development lie in."""
    from importlib.metadata import distributions
    from json import loads
    from urllib.parse import unquote, urlsplit

    found = {*SYSTEM, sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()}
    found |= {each for each in sys.path if each} | {os.path.dirname(os.path.realpath(sys.executable))}
    for each in distributions():
        with suppress(OSError, ValueError, TypeError, AttributeError):
            told = loads(each.read_text("direct_url.json") or "{}")
            if told.get("dir_info", {}).get("editable"):
                found.add(unquote(urlsplit(told["url"]).path))
    return sorted({each for folder in found for each in (os.path.abspath(folder), os.path.realpath(folder))} - {"/"})


class Watch:
    """What Python was asked for that lies elsewhere."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self.allowed = tuple(f"{each.rstrip(os.sep)}{os.sep}" for each in allowed)
        self.own_names = {None, "", b"", "localhost", socket.gethostname()}
        self.reached: list[str] = []
        """Hosts, in the order they were first asked for."""
        self.read: list[str] = []
        """Files, likewise."""

    def start(self) -> None:
        """Refuse it from now on, and note it; there is no way back for this process."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            self._open(arguments[0], arguments[2])
        elif event in NAMES:
            host = arguments[0][0] if isinstance(arguments[0], tuple) else arguments[0]
            if host not in self.own_names:
                self._refuse(host if isinstance(host, str) else repr(host))
        elif event in NETWORK and arguments[0].family != socket.AF_UNIX:
            address = arguments[1] if len(arguments) > 1 else None
            self._refuse(":".join(map(str, address[:2])) if isinstance(address, tuple) else repr(address))

    def _refuse(self, host: str) -> None:
        if host not in self.reached:
            self.reached.append(host)
        raise ConnectionRefusedError(f"there is no network here: {host}")

    def _open(self, path: Any, flags: Any) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return  # an open file
        if isinstance(flags, int) and flags & os.O_ACCMODE == os.O_WRONLY:
            return
        place = os.path.abspath(os.fsdecode(path))
        if any(f"{each}{os.sep}".startswith(self.allowed) for each in (place, os.path.realpath(place))):
            return
        if os.path.isdir(place) or not os.path.lexists(place):
            return
        if place not in self.read:
            self.read.append(place)
        raise FileNotFoundError(2, "this file is neither in the bundle nor installed", place)
