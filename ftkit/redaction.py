"""Redaction: the one function that every text passes before a person or a service sees it.

`redacted` runs the searches below it in turn; each yields the spans to hide. The patterns are in `ftkit._secret_patterns`;
where the value of a name begins and ends is in `ftkit._secret_values`.
"""

from __future__ import annotations

import os
import re
from binascii import b2a_base64
from collections.abc import Iterator
from functools import lru_cache

from ftkit import _secret_patterns as patterns
from ftkit._secret_values import Pair, Span, read_pair, value_at, values

__all__ = ["MASK", "redacted"]

MASK = "***"


def redacted(text: str) -> str:
    """Hide the secrets of a text before it leaves the process, and leave everything else as it is.

    Signatures, keys, passwords and tokens become `***`, known by their name, by their place (a header, a URL) or by
    their look. So do the values of the secret environment variables that are set now. Redacting twice changes nothing
    more. Redact a text before you cut it: half a secret is not always recognised.
    """
    for secret in _environment_secrets():
        if secret in text:
            text = text.replace(secret, MASK)
    # One hidden secret may change where its neighbour begins, so the text is read again until nothing changes.
    for _ in range(8):
        hidden = text
        for spans in (_pem_blocks, _known_tokens, _user_infos, _phrases, _schemes, _pairs, _options):
            hidden = _masked(hidden, spans(hidden))
        if hidden == text:
            break
        text = hidden
    return text


def _masked(text: str, spans: Iterator[Span]) -> str:
    """A text with the mask in place of each span; a span that begins inside another one is left out."""
    pieces: list[str] = []
    position = 0
    for start, end in spans:
        if start >= position and end > start:
            pieces += (text[position:start], MASK)
            position = end
    return "".join(pieces) + text[position:] if pieces else text


def _pem_blocks(text: str) -> Iterator[Span]:
    """Private keys in PEM, from BEGIN to END, or as far as one goes that was cut."""
    if "-----BEGIN" not in text:
        return
    ends = iter(re.compile(patterns.PEM_END).finditer(text))
    ending = next(ends, None)
    for match in re.compile(patterns.PEM).finditer(text):
        while ending is not None and ending.start() < match.end():
            ending = next(ends, None)
        if ending is not None and ending.start() - match.end() < 20_000:
            yield match.start(), ending.end()
        elif lines := re.compile(patterns.PEM_LINES).match(text, match.end()):  # a block that was cut
            yield match.start(), lines.end()


def _known_tokens(text: str) -> Iterator[Span]:
    """The tokens that their look gives away: those of GitHub, Hugging Face, Azure …"""
    for match in patterns.verbose(patterns.TOKENS).finditer(text):
        yield match.span()


def _user_infos(text: str) -> Iterator[Span]:
    """The passwords, and the tokens that stand alone, before the `@` of a URL."""
    stop = re.compile(patterns.URL_STOP)
    for match in re.compile(r"(?<=[\w+.-]):\\?/\\?/").finditer(text):
        start = match.end()
        ending = stop.search(text, start)
        segment = text[start : ending.start() if ending else len(text)]
        if "@" not in segment:
            continue
        authority = re.split(r"[/?#]", segment, maxsplit=1)[0]
        user, colon, password = authority.partition(":")
        at = authority.rfind("@")
        if at < 0:  # a password with a slash, unless this is a port and the path has the sign
            if not colon or "." in user or user.startswith("[") or re.match(r"\d*\Z|\{", password):
                continue
            at = segment.find("@")
        for other in re.finditer("@", segment.partition("?")[0]):  # a password with both signs
            host = re.compile(r"[\w-]+(?:\.[\w-]|:\d)|localhost|\[").match(segment, at + 1)
            if host is None and re.compile(r"[A-Za-z][\w-]*(?:\.[\w-]|:\d)").match(segment, other.start() + 1):
                at = max(at, other.start())
        if segment.startswith("sha256:", at + 1):
            continue
        user, colon, password = segment[:at].partition(":")
        if password not in ("", "x-oauth-basic"):
            yield start + len(user) + 1, start + at
        elif text[max(0, match.start() - 5) : match.start()].endswith(("http", "https")) and (
            len(user) >= 20 or (len(user) >= 12 and re.search(r"[0-9]", user)) or re.match(r"gh[pousr]_|hf_", user)
        ):
            yield start, start + len(user)


def _phrases(text: str) -> Iterator[Span]:
    """Secrets at places without a separator: in the arguments of commands, in SQL, in XML …"""
    for match in patterns.verbose(patterns.PHRASES).finditer(text):
        yield match.span(match.lastgroup or 0)
    for match in re.compile(patterns.ELEMENT).finditer(text):
        if patterns.kind_of(match["name"]) in patterns.ALWAYS and match["secret"].strip():
            yield match.span("secret")


def _schemes(text: str) -> Iterator[Span]:
    """The credentials behind `Bearer` and `Basic`, in a header or in a sentence."""
    for match in re.compile(patterns.BEARER).finditer(text):
        token = match["secret"].rstrip(".")
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        quoted = before in ('"', "'") and after in ('"', "'")
        generated = re.search(r"[0-9=~+%]", token) or len(token) >= 24 or re.search(r"[a-z][A-Z].*[a-z][A-Z]", token)
        prose = re.match(r"(?i)(?:oauth|jwt|rfc|token|auth|access)[\w-]{0,8}\Z", token)
        if token and (quoted or generated) and not prose and not patterns.is_placeholder(text, match.start("secret")):
            yield match.start("secret"), match.start("secret") + len(token)
    for match in re.compile(patterns.BASIC).finditer(text):
        if patterns.is_login(match["secret"]):
            yield match.span("secret")


def _pairs(text: str) -> Iterator[Span]:
    """The values of secret names: `name=value`, `name: value`, `"name": "value"`, encoded and escaped ones included."""
    search = patterns.verbose(patterns.PAIR).search
    position, announced = 0, -1  # up to `announced`, the word `value` names the value of a secret
    while (match := search(text, position)) and match.end() < len(text):
        position = match.end()
        pair = read_pair(text, match)
        if not pair.kind or (pair.kind == "value" and match.start() > announced):
            continue
        if pair.kind == "value":
            pair, announced = pair._replace(kind="secret"), -1
        if text.startswith("{", position):
            if pair.kind in patterns.ALWAYS:
                announced = position + 200  # `"adminPassword": {"value": "…"}`
                braced = re.compile(r"\{([^{}\"'\n:]{1,200})\}").match(text, position)
                if braced and pair.separator == "=" and braced[1].strip("*"):
                    yield braced.span(1)  # `PWD={a;b}` of ODBC
                    position = braced.end()
            continue
        for start, end in values(text, pair):
            if pair.kind not in patterns.ALWAYS and not pair.query and end - start > 512 and pair.kind != "cookie":
                continue
            value = text[start:end]
            if pair.kind in ("name", "key") and not pair.query and patterns.kind_of(value) in patterns.ALWAYS:
                announced = end + 200  # `{"name": "HF_TOKEN", "value": "…"}`
            elif value.strip("*") and _is_secret(text, pair, value, start, end):
                yield start, end
                position = end


def _is_secret(text: str, pair: Pair, value: str, start: int, end: int) -> bool:
    """Whether the value of a name that may be secret is a secret."""
    match, kind, name = pair.match, pair.kind, pair.match["name"]
    word = value.lower().strip(".,:;!?")
    if word in patterns.HARMLESS or kind == "name" or patterns.is_placeholder(text, start):
        return False
    if kind == "parameter":
        return pair.query or (pair.separator == "=" and patterns.is_random(value))
    if kind == "key":
        return (pair.query and len(value) >= 8) or patterns.is_random(value)
    if kind == "login":
        return patterns.is_login(value)
    if kind == "cookie":
        return "=" in value
    if len(value) < 300 and name in ("PWD", "OLDPWD") and value.startswith("/") and not pair.previous.endswith(";"):
        return False
    if kind == "token" and re.fullmatch(r"[+-]?\d{1,5}(?:\.\d+)?", value):
        return False  # a count
    if pair.separator == ",":  # a pair, or two names in a list of names
        list_of_names = "[" in pair.previous[-4:] and re.fullmatch(r"[A-Za-z_-]+", value)
        return (pair.tuple_ and not list_of_names) or (kind == "header" and text[start - 1].isspace())
    if pair.separator.startswith(":") and text[match.end() - 1].isspace() and not match["close"]:
        if pair.previous.endswith(("/", "\\")) and not match["escape"]:
            return False  # the file of that name
        if word in patterns.ENGLISH and re.compile(r"\W{0,2}\s").match(text, end):
            return False
    if pair.previous.endswith("/") and pair.separator == ":" and "@" in value[:100]:
        return False  # the user of an URL, whose password is hidden already
    if len(value) < 300 and not pair.query:  # source code
        if re.match(r"(?:self|cls|os|args)\.[A-Za-z_.]+", value):
            return False
        if call := re.compile(r"[A-Za-z_.]+\(([^()\n]{0,200})\)").match(text, match.end()):
            return bool(re.search(r"[\"']", call[1])) and not re.search(r"get|env|load|read|open|prompt|input", call[0])
    return True


def _options(text: str) -> Iterator[Span]:
    """The values of `--password hunter2`, in a command line or in a list of arguments."""
    for match in re.compile(patterns.OPTION).finditer(text):
        if patterns.kind_of(match["name"]) in patterns.ALWAYS:
            start, end = value_at(text, match.end())
            value = text[start:end].lower()
            harmless = value in patterns.HARMLESS or value.strip(".,:") in patterns.ENGLISH
            if not harmless and not patterns.is_placeholder(text, start):
                yield start, end


# The environment


def _environment_secrets() -> list[str]:
    """What the secret environment variables hold now, in all its written forms, the longest first."""
    forms: set[str] = set()
    for name, value in os.environ.items():
        if len(value) >= 6 and name not in ("PWD", "OLDPWD"):
            secret = patterns.kind_of(name) in patterns.ALWAYS or "SAS" in name.split("_")
            if secret or ("://" in value and "@" in value):
                forms.update(_forms(value, secret))
    return sorted(forms, key=len, reverse=True)


@lru_cache(maxsize=64)
def _forms(value: str, secret: bool) -> frozenset[str]:
    """The written forms of the secrets in a variable's value; of one that is not `secret`, the passwords in URLs."""
    import json
    from html import escape
    from urllib.parse import quote, quote_plus

    spans = [*_user_infos(value), *(_pairs(value) if secret else ())]
    parts = {value[start:end] for start, end in spans} or ({value} if secret else set())
    forms: set[str] = set()
    for part in parts:
        if (
            len(part) < 6
            or part.lower() in patterns.COMMON_VALUES | patterns.HARMLESS | patterns.ENGLISH
            or re.fullmatch(r"[\W\d_]+", part)
            or (part[0] in "/~." and os.path.exists(os.path.expanduser(part)))
        ):
            continue
        raw = part.encode("utf-8", "surrogateescape")
        once = quote(raw, safe="")
        encoded = {once, quote(raw), quote_plus(raw), quote(once, safe="")}
        forms |= {part, repr(part)[1:-1], escape(part), *encoded}
        forms |= {re.sub("%..", lambda match: match[0].lower(), form) for form in encoded}
        for ascii_only in (True, False):
            written = json.dumps(part, ensure_ascii=ascii_only)[1:-1]
            forms |= {written, json.dumps(written)[1:-1], written.replace("/", "\\/")}
        for offset in range(3):  # base64 of `user:password` may begin anywhere
            inner = b2a_base64(b"\0" * offset + raw, newline=False).decode()
            inner = inner[(0, 2, 3)[offset] :].rstrip("=")
            inner = inner[: len(inner) - (1 if (len(raw) + offset) % 3 else 0)]
            if len(inner) >= 7:
                forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return frozenset(forms)
