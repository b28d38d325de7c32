"""Removes credentials from texts: addresses of cameras carry them, and libraries repeat addresses in errors.

What cannot be told apart from a password is removed too: a text may lose more than it must, never less.
"""

import re
from urllib.parse import quote, unquote

# "://" and "@", as they are or percent-encoded, also more than once
SCHEME = re.compile(r"://|%(?:25)*3A%(?:25)*2F%(?:25)*2F", re.IGNORECASE)
AT = re.compile(r"@|%(?:25)*40", re.IGNORECASE)
END_OF_AUTHORITY = re.compile(r"[/?#]|%(?:25)*2F|%(?:25)*3F|%(?:25)*23", re.IGNORECASE)
HOST = re.compile(
    r"""(?:\[[^\]]*\]|[^:]*)(?::\d*)?[]:;,.'"`)>}]*"""
)  # with a port and what may follow in a text
OPENING = "([{<'\"`"
SECRET_KEYS = r"pass|pwd|token|secret|auth|credential|signature|jwt|streamid"  # as a part of a key
SHORT_SECRET_KEYS = r"(?:^|(?<=[^a-z0-9]))(?:user|usr|login|key|api_?key|sig|sid|session|pw|psw)"
QUERY = re.compile(
    rf"([\w.%-]*(?:{SECRET_KEYS})[\w.%-]*|{SHORT_SECRET_KEYS}(?:_?name|_?id)?)(=|%(?:25)*3D)[^&\s;'\"]*",
    re.IGNORECASE,
)
HEADER = re.compile(r"(authorization\s*:\s*)[^\r\n]*", re.IGNORECASE)
SHORTEST_SECRET = 4  # characters; a shorter password is removed with its "@" alone, not from within words


def redact(text: str, address: str = "") -> str:
    """Removes `user:password@` from all addresses in a text, and values of keys such as `password=`.

    Args:
        text: any text, for example of an exception.
        address: whose credentials are removed wherever they stand, even if they contain spaces.
    """
    for secret in _secrets(address):
        text = text.replace(secret, "")
    text = re.sub(r"\S+", lambda match: _redact_word(match.group()), text)
    text = HEADER.sub(r"\1***", text)
    return QUERY.sub(r"\1\2***", text)


def printable(text: str) -> str:
    """The text on a single line, with all characters that a terminal does not show as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _redact_word(word: str) -> str:
    """Removes the credentials from a word, that is a text without spaces."""
    addresses = False
    for scheme in SCHEME.finditer(word):
        addresses = True
        rest = word[scheme.end() :]
        if length := _length_of_credentials(rest, plain=scheme.group() == "://"):
            return word[: scheme.end()] + rest[length:]
    last = word.rfind("@")
    if not addresses and ":" in word[: max(0, last)]:  # an address without its scheme
        opening = len(word) - len(word.lstrip(OPENING))
        return word[:opening] + word[last + 1 :]
    return word


def _length_of_credentials(rest: str, plain: bool) -> int:
    """Number of characters before the host in what follows "://" in an address.

    A password may contain "/", "?", "#" and "@", so it goes to the last "@".

    Args:
        rest: of the address.
        plain: whether the address is not percent-encoded, so that "%40" is part of a password.
    """
    authority = END_OF_AUTHORITY.split(rest, maxsplit=1)[0]
    ends = [match.end() for match in (re.finditer("@", rest) if plain else AT.finditer(rest))]
    if ends and (":" in authority or AT.search(authority) or not plain):
        return ends[-1]
    if HOST.fullmatch(authority) or not plain:
        return 0
    # not a host and a port: a password without "@", or with an encoded one
    return max([len(authority), *(match.end() for match in AT.finditer(rest))])


def _secrets(address: str) -> list[str]:
    """The credentials in an address in all their spellings, the longest first."""
    scheme = address.find("://")
    if scheme < 0:
        return []
    rest = address[scheme + 3 :]
    credentials = rest[: _length_of_credentials(rest, plain=True)].removesuffix("@")
    password = credentials.partition(":")[2]
    spellings = {form(text) for text in (credentials, password) for form in (str, unquote, quote, _quote_all)}
    secrets = {f"{text}@" for text in spellings if text}
    secrets |= {text for text in spellings if len(text) >= SHORTEST_SECRET}
    return sorted(secrets, key=len, reverse=True)


def _quote_all(text: str) -> str:
    return quote(unquote(text), safe="")
