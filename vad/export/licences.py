"""What is known of the licences of files that are not ours."""

from typing import NamedTuple


class Licence(NamedTuple):
    """The licence of a file.

    Attributes:
        work: whose it is.
        name: of the licence.
        address: of its text.
    """

    work: str
    name: str
    address: str


APACHE = "https://www.apache.org/licenses/LICENSE-2.0"
KNOWN = {  # by sha256 of the file
    "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d": Licence(
        "YOLOX-nano, as released by Megvii (https://github.com/Megvii-BaseDetection/YOLOX)",
        "Apache License 2.0",
        APACHE,
    ),
}


def describe(name: str, sha256: str) -> str:
    """What is known of the licence of a file, in a sentence.

    Args:
        name: of the file in the folder.
        sha256: its content hash.
    """
    if licence := KNOWN.get(sha256.lower()):
        return f"`{name}` is {licence.work}, under the {licence.name} ({licence.address})."
    return (
        f"The licence of `{name}` (sha256 `{sha256.lower()}`) is not known to this program: it is that of "
        "whoever trained and exported it. Find it out before you pass this folder on."
    )
