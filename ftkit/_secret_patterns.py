"""The patterns of `ftkit.redaction`: how secrets look, where they stand, and what they are called."""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from functools import cache, lru_cache

# Patterns are kept as text and compiled at first use: a command that redacts nothing does not pay for them. All of them
# take linear time: a repeated part is possessive or bounded, or it begins only where a longer match cannot have begun.

# Tokens that are known by their look. A start behind an escape (`%3D`, `\n`) counts as the start of a word.
TOKENS = r"""
    (?: (?<![\w-]) | (?<=%[0-9A-Fa-f]{2}) | (?<=\\[nrt]) )
    (?: eyJ[\w-]{8,}(?:\.[\w-]*){1,4}                                        # JWT
      | hf_ (?=[a-z]*[A-Z0-9]) [A-Za-z0-9]{10,}                              # Hugging Face
      | gh[pousr]_[A-Za-z0-9_]{8,} | github_pat_\w{8,} | glpat-[\w-]{8,}     # GitHub, GitLab
      | (?:pypi|sk) - (?=[a-z_-]*[A-Z0-9]) [\w-]{16,}                        # PyPI; OpenAI, Anthropic
      | npm_ (?=[a-z]*[A-Z0-9]) [A-Za-z0-9]{20,} | [rs]k_(?:live|test)_\w{8,}
      | (?:AKIA|ASIA)[A-Z0-9]{12,} | AIza[\w-]{20,} | ya29\.[\w.-]{10,} | GOCSPX-[\w-]{10,}
      | xox[a-z]-[\w-]{8,} | xapp-[\w-]{8,} | dapi[0-9a-f]{16,}(?:-\d)? | SG\.[\w-]{16,}\.[\w-]{16,}
    )
    | [\w~.-]{3}\dQ~[\w~.-]{16,}                                             # client secret of Entra ID
    | (?<![A-Za-z0-9])[A-Za-z0-9]{40,60}JQQJ99[A-Za-z0-9]{20,}               # key of an Azure AI service
    | (?:(?<![A-Za-z0-9+/])(?<!sha512-)|(?<=\\[nrt]))[A-Za-z0-9+/]{86}==     # key of an Azure storage account
"""

PEM = r"-----BEGIN(?:[ +_]|%20)(?:[A-Z0-9]{1,20}(?:[ +_]|%20)){0,3}PRIVATE(?:[ +_]|%20)KEY"
PEM_END = r"-----END[A-Z0-9 +_%]{1,60}-----"
PEM_LINES = r"(?: BLOCK)?-{0,5}+(?:(?:\s|\\[nr])*+[A-Za-z0-9+/=]{24,}+)*+(?:\s|\\[nr])*+(?:[A-Za-z0-9+/]*[0-9+/=][A-Za-z0-9+/=]*)?"

GAP = r"\s*+(?:\x1b\[[0-9;]{0,20}m){0,4}+\s*+"
QUOTE = r"""(?:\\*+["'`]|&quot;|&\#3[49];|%(?:25)*2[27]|\\+u002[27])"""
PAIR = rf"""
    (?: (?P<escape> %(?:25)*[0-9A-Fa-f]{{2}} | \\(?:u[0-9A-Fa-f]{{4}}|x[0-9A-Fa-f]{{2}}|[nrtbfv]) | \x1b\[[0-9;]*m )
      | (?<![A-Za-z0-9_-]) )
    (?P<name>[A-Za-z0-9_-]++)
    (?P<close>{QUOTE}{{1,2}}+)? \]?
    {GAP}
    (?P<separator> : \s*+ (?:Optional\[)?(?:str|bytes|SecretStr)\]?(?:\s?\|\s?None)? \s*+ = (?!=)     # an annotation
      | =[=>]? | :(?!:|//)=? | [：＝] | %(?P<level>(?:25)*)3[AaDd] | \\+u003[AaDd] | &\#(?:58|61); | (?(close),|(?!)) )
    {GAP}
"""
OPENING = r"""(?:[bBrRuUfF]{1,2}(?=\\*["']))?(?P<quote>\\*+(?:\"\"\"|'''|["'`])|[“‘]|&quot;|&\#3[49];|%(?:25)*2[27]|\\+u002[27])"""
OPTION = (
    r"""(?<![\w-])(?P<name>--[A-Za-z][\w-]*+|-[A-Z][A-Za-z]*+)(?:["'],\s*(?=["'])|[ \t]++(?:\\?\r?\n[ \t]*+)?)(?!-)"""
)
ELEMENT = r"<(?:[\w.-]{1,40}:)?(?P<name>[\w.-]{1,80})(?:\s[^<>]{0,200})?>(?:<!\[CDATA\[)?(?P<secret>[^<>\]]+)"

# Where a value without quotes ends: in free text, in a query string, in an url-encoded text, in a header.
CLOSER = r"""(?<!\\)\\*+["'`](?=[\s,;:)\]}>&|.!?"'`\\]|\Z)"""
PLAIN_STOP = rf"""
    \s | \x1b | {CLOSER} | \\[nrt](?=[\s"'`\\]|\Z|[\w.-]{{1,60}}["']?[ ]?[:=])
    | (?:&(?:amp;)?|\\u0026|\\x26)(?=[\w.%~-]++=) | <(?=/|[A-Za-z]++>)
    | [;,](?=\s|\Z|["'`)\]}}\\]|[A-Za-z][\w .-]{{0,40}}["']?[ ]?[:=])
"""
QUERY_STOP = r"""[\s"'`<>&\x1b]|\\(?:u0026|x26|[nrt"'\\])|[;,](?=\s|\Z)"""
ENCODED_STOP = r"""[\s"'`<>&;\x1b]|%%(?:25){0,%d}(?:26|3[Bb]|2[27]|0[AaDd]|7[Dd])"""
LINE_STOP = rf"""\r?\n|\\r|\\n|\x1b|{CLOSER}"""
# A long value that a terminal or a mail program has broken: the next line is one word that ends as base64 ends.
WRAPPED = (
    r"""\\?\r?\n[ \t]*+(?:[A-Za-z0-9%+/_.~-]++(?:={1,2}(?=[&;,\s"']|\Z)|(?<=%3[Dd])(?=[&;,\s"']|\Z)|(?=&[\w.-]+=)))"""
)

SCHEME = r"""(?i)(?:bearer|basic|token|bot|apikey|api-key|key|negotiate|ntlm|sharedkey(?:lite)?)(?:\s|%20|\+)++"""
LONG_SCHEME = r"""(?i)[a-z][\w-]{1,30}[ \t]++(?=\S)"""
BEARER = r"""(?i)\bbearer(?:\s|%20|\+)++(?P<secret>[\w.~+/%-]++=*+)(?!["'\w])"""
BASIC = r"""(?i)\bbasic(?:\s|%20|\+)++(?P<secret>[A-Za-z0-9+/_-]{4,}+={0,2})"""
# A YAML block behind `|`; a line that begins with another name, so that the name above has no value.
BLOCK = r"""[|>][+-]?\d?[ \t]*\r?\n((?:[ \t]+[^\n]*(?:\n|\Z))+)"""
NEXT_NAME = r"""(?![bu]?["']?(?i:bearer|basic)\b)[\w."'-]{1,80}\s?[:=](?!=*[&;,\s]*\Z)"""
# Places that no separator marks. Each names its secret.
PHRASES = r"""
    (?i:\bsharedkey(?:lite)?)\s+[\w-]{1,60}:(?P<shared_key>[A-Za-z0-9+/]{8,}={0,2})
    | (?i:signature\ found\ in\ the\ HTTP\ request\ )'(?P<signature>[^']+)'
    | \bauth\s*=\s*\(\s*[bu]?["'][^"'\s]{0,100}["']\s*,\s*[bu]?["'](?P<login>[^"']+)["']
    | \blogin\s+\S{1,100}\s+password\s+(?P<netrc>\S+)
    | (?<![\w-])(?:-u|--user|--proxy-user)[ =]["']?[^\s:"'/]{1,100}:(?P<curl>[^\s"']+)
    | \b(?:PASSWORD|IDENTIFIED\ BY)\s+'(?P<sql>[^']+)'
    | (?i:\bthin):[^\s/@]{1,100}/(?P<oracle>[^\s@]+)@
    | (?i:%(?:25)*3A(?:%(?:25)*2F){2})[\w.+~-]{0,80}%(?:25)*3[Aa](?P<encoded_url>[^\s&"'/@]{1,200}?)%(?:25)*40
"""
# What stands in place of a secret: a shell command or a variable that holds it, a word, an ellipsis.
PLACEHOLDER = r"""
    (?: \$\([a-z][\w./-]{0,80}[ ][^()\n]{1,400}\)
      | \$\{\{?[ ]?[A-Za-z_][\w.:]{0,80}[ ]?\}?\} | \$(?:env:)?(?P<variable>[A-Z][A-Z0-9_]{1,80})
      | KEY | TOKEN | PASSWORD | SECRET | … )
    (?=[.:]?(?:[\s"'`;,&)\]}<\\]|\Z))
"""
URL_STOP = r"""[\s]|:\\?/\\?/|[<>](?![^\s/@<>]*@)|["'`](?=[\s,;:)\]}>"'`\\]|\Z)"""


@cache
def verbose(pattern: str) -> re.Pattern[str]:
    """Compile a pattern that is written over several lines."""
    return re.compile(pattern, re.VERBOSE)


def is_placeholder(text: str, position: int) -> bool:
    """Whether what begins at a position stands in place of a secret: `$(cat key)`, `$HF_TOKEN`, `KEY` or `…`."""
    match = verbose(PLACEHOLDER).match(text, position)
    return match is not None and (match["variable"] is None or kind_of(match["variable"]) != "")


# Names


def _words(words: str) -> frozenset[str]:
    return frozenset(words.split())


ALWAYS = _words("password secret token header")
"""The kinds of names whose value is a secret wherever they stand; `kind_of` tells the kind."""

# How the names of secrets end, written as one word.
PASSWORDS = ("password", "passwords", "passwd", "passphrase", "passcode", "pwd")
SECRETS = tuple(
    _words(
        "secret secretvalue secretstring apikey apikeys accesskey accountkey sharedkey privatekey secretkey "
        "subscriptionkey functionkey functionskey signingkey encryptionkey masterkey storagekey instrumentationkey "
        "authkey sharedaccesssignature sastoken connectionstring connstr devicecode authcode authorizationcode "
        "codeverifier clientassertion"
    )
)
# Words before `key`, `pass` and `token` that decide about the whole name.
KEYS = _words("api app service deploy record sas host admin session license webhook hmac fernet jwt ingest")
PLAIN_KEYS = _words("primary secondary foreign sort partition public cache unique object group index row")
GENERATED = _words("key key1 key2 bearer jwt hmac credential credentials")
"""Last words of names whose value is a secret if it looks generated."""
PASSES = _words("db user smtp redis mysql pg admin root ftp mail auth proxy login")
MODEL_TOKENS = _words(
    "bos eos unk sep pad cls mask special image start end stop first last next previous continuation per each max min num"
)
# Values that are not secrets, whatever their name.
HARMLESS = _words(
    "none null nil true false undefined str string bytes int bool optional required missing invalid unknown redacted "
    "[redacted] <redacted>"
)
# Words that begin a sentence, so that `the secret: they use butter` is one.
ENGLISH = _words(
    "a an and any are as at be because but by can cannot check could did do does expected failed for from get give got "
    "had has have he her how i if in is it its let make may must my never no not of on only or our please see set she "
    "should some the their there they this that to try use was we were what when where which who why will with would "
    "you your always argument option value expired wrong missing invalid required requires"
)
# Values of secret variables that are too common to be hidden in every text.
COMMON_VALUES = _words(
    "password passwd secret secrets token tokens bearer default changeme admin postgres localhost docker enabled disabled "
    "required optional string private public basic production staging development testing"
)


@lru_cache(maxsize=4096)
def kind_of(name: str) -> str:
    """What the value of a name may be; "" for the name of nothing secret.

    The kinds in `ALWAYS` are secrets by their name. The value of a "parameter", "key", "login" or "cookie" is one only
    if its place or its look says so; a "value", if it follows the "name" or "key" of a secret:
    `{"name": "TOKEN", "value": "…"}`.
    """
    name = name[-100:].strip("-_")
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[-_.]+", " ", name).lower().split() or [""]
    joined, last, previous = "".join(words), words[-1], words[-2] if words[1:] else ""
    constant = name.isupper() and len(words) > 1  # an environment variable
    if joined.endswith("authorization"):
        return "header"
    if joined in ("cookie", "setcookie"):
        return "cookie"
    if joined.endswith(PASSWORDS) or last == "pw" or (last == "pass" and (constant or previous in PASSES)):
        return "password"
    if joined.endswith(SECRETS) or (last in ("pat", "sas") and constant):
        return "secret"
    if last == "key" and previous not in PLAIN_KEYS and (constant or previous in KEYS):
        return "secret"
    if joined.endswith("token"):
        return "" if previous in MODEL_TOKENS else "token"
    if last in ("sig", "sas"):
        return "token"
    if last in ("code", "signature"):
        return "secret" if joined.startswith(("xamz", "xgoog", "xhub")) else "parameter" if joined == last else ""
    if last in GENERATED or joined in ("auth", "value", "name"):
        return {"auth": "login", "value": "value", "name": "name"}.get(joined, "key")
    return ""


def is_random(value: str) -> bool:
    """Whether a value looks like a generated key: long, in both cases, with digits."""
    return (
        len(value) >= 20
        and re.search(r"[0-9]", value) is not None
        and re.search(r"[A-Z]", value) is not None
        and re.search(r"[a-z]", value) is not None
        and re.search(r"[\s.:()]", value) is None
    )


def is_login(value: str) -> bool:
    """Whether a value is the base64 form of `user:password`."""
    value = value.rstrip("=")
    try:
        return len(value) >= 4 and b":" in a2b_base64(value + "=" * (-len(value) % 4))
    except (Base64Error, ValueError):  # not base64, or not ASCII
        return False
