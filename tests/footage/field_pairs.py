"""Writes H.264 whose frames are coded as pairs of fields, as AVCHD camcorders do; no encoder at hand can.

All macroblocks are stored as plain samples (I_PCM), so that decoding gives exactly the pictures.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np


class Bits:
    """A bit stream of H.264 syntax elements."""

    def __init__(self) -> None:
        self.bits = ""

    def u(self, value: int, n: int) -> None:
        """An unsigned number of n bits."""
        self.bits += f"{value:0{n}b}"

    def ue(self, *values: int) -> None:
        """Unsigned Exp-Golomb codes."""
        for value in values:
            code = f"{value + 1:b}"
            self.bits += "0" * (len(code) - 1) + code

    def align(self) -> None:
        self.bits += "0" * (-len(self.bits) % 8)

    def nal(self, header: int) -> bytes:
        """A NAL unit with start code, trailing bits and emulation prevention."""
        bits = self.bits + "1"
        bits += "0" * (-len(bits) % 8)
        out, zeros = bytearray(), 0
        for byte in int(bits, 2).to_bytes(len(bits) // 8, "big"):
            if zeros >= 2 and byte <= 3:
                out.append(3)
                zeros = 0
            out.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\0\0\0\1" + bytes([header]) + bytes(out)


def write_field_pairs(path: Path, frames: Sequence[np.ndarray]) -> None:
    """Writes a raw H.264 stream.

    Args:
        path: the file.
        frames: luma, uint8 [H, W]; H a multiple of 32 and W of 16.
    """
    height, width = frames[0].shape
    sps = Bits()
    for byte in (77, 0, 30):  # Main profile, level 3
        sps.u(byte, 8)
    # id, 2^4 frame numbers, order of display as coded (type 2), one reference frame
    sps.ue(0, 0, 2, 1)
    sps.u(0, 1)
    sps.ue(width // 16 - 1, height // 32 - 1)
    sps.u(0, 1)  # not only frames
    sps.u(0, 1)  # no mixture of fields and frames within a picture
    sps.u(1, 1)
    sps.u(0, 2)  # no cropping, no further information
    pps = Bits()
    pps.ue(0, 0)
    pps.u(0, 2)
    pps.ue(0, 0, 0)
    pps.u(0, 3)
    pps.ue(0, 0, 0)
    pps.u(0, 3)
    stream = b""
    for number, frame in enumerate(frames):
        for bottom in (0, 1):
            first = number == 0 and bottom == 0  # the only field that is IDR; the others are intra-coded too
            field = Bits()
            field.ue(0, 7, 0)  # first macroblock, all slices intra, parameter set
            field.u(number % 16, 4)
            field.u(1, 1)
            field.u(bottom, 1)
            if first:
                field.ue(0)
            field.u(0, 2 if first else 1)  # reference marking: nothing special
            field.ue(0)  # quantiser as it is
            lines = frame[bottom::2]
            for y in range(0, height // 2, 16):
                for x in range(0, width, 16):
                    field.ue(25)  # I_PCM
                    field.align()
                    samples = lines[y : y + 16, x : x + 16].tobytes() + b"\x80" * 128
                    field.bits += f"{int.from_bytes(samples, 'big'):0{len(samples) * 8}b}"
            if number == 0 and bottom == 0:
                stream += sps.nal(0x67) + pps.nal(0x68)
            stream += field.nal(0x65 if first else 0x61)
    path.write_bytes(stream)
