"""Removes credentials from texts: addresses of cameras carry them, and libraries repeat addresses in errors.

What cannot be told apart from a password is removed too: a text may lose more than it must, never less.
"""

import re
from urllib.parse import quote, unquote

# "://" and "@", as they are or percent-encoded, also more than once
COLON, SLASH = r"(?::|%(?:25)*3A)", r"(?:/|%(?:25)*2F)"
SCHEME = re.compile(f"{COLON}{SLASH}{SLASH}", re.IGNORECASE)
AT = re.compile(r"@|%(?:25)*40", re.IGNORECASE)
END_OF_AUTHORITY = re.compile("[/?#]")
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
    opening = word[: len(word) - len(word.lstrip(OPENING))]
    for scheme in SCHEME.finditer(word):
        before, rest = word[: scheme.end()], word[scheme.end() :]
        if length := _length_of_credentials(rest, encoded="%" in scheme.group()):
            # a colon that belongs to no scheme comes before a password in which there is "://"
            whole = SCHEME.match(word, word.find(":")) is None and ":" in before[: scheme.start()]
            return (opening if whole else before) + rest[length:]
    last = word.rfind("@")
    if ":" in word[: max(0, last)] and not SCHEME.search(word):  # an address without its scheme
        return opening + word[last + 1 :]
    return word


def _length_of_credentials(rest: str, encoded: bool) -> int:
    """Number of characters before the host in what follows "://" in an address.

    A password may contain "/", "?", "#" and "@", so it goes to the last "@".

    Args:
        rest: of the address.
        encoded: whether the address is percent-encoded; otherwise "%40" is a part of the password.
    """
    end = max((match.end() for match in (AT if encoded else re.compile("@")).finditer(rest)), default=0)
    if encoded:
        return end
    authority = END_OF_AUTHORITY.split(rest, maxsplit=1)[0]
    if end:
        return end if ":" in rest[:end] or "@" in authority else 0
    if HOST.fullmatch(authority):
        return 0
    # not a host and a port: a password without "@", or with an encoded one
    return max([len(authority), *(match.end() for match in AT.finditer(rest))])


def _secrets(address: str) -> list[str]:
    """The credentials in an address in all their spellings, the longest first."""
    scheme = address.find("://")
    if scheme < 0:
        return []
    rest = address[scheme + 3 :]
    credentials = rest[: _length_of_credentials(rest, encoded=False)].removesuffix("@")
    password = credentials.partition(":")[2]
    spellings = {form(text) for text in (credentials, password) for form in (str, unquote, quote, _quote_all)}
    secrets = {f"{text}@" for text in spellings if text}
    secrets |= {text for text in spellings if len(text) >= SHORTEST_SECRET}
    return sorted(secrets, key=len, reverse=True)


def _quote_all(text: str) -> str:
    return quote(unquote(text), safe="")
