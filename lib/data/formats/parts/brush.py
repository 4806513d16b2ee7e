"""The masks that Label Studio's brush paints: RGBA pixels as packed run lengths.

Format: https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack. A stream of bits, each
number with its highest bit first. Its head: how many values follow (32 bits), how many bits a value
has, less one (5), and how many bits each of four widths of counts has, less one (4 each). Then
blocks: 1 where one value repeats, else 0 (1 bit); which of the four widths (2); a count, less one;
and the one value, or as many as are counted.
"""

import numpy as np

from lib.data.label import require_size
from lib.rle import Mask

CHANNELS, ALPHA = 4, 3


class _Bits:
    """Numbers from the front of a stream of bits."""

    def __init__(self, data: list[int]) -> None:
        self.bits = "".join(f"{byte:08b}" for byte in bytes(data))
        self.place = 0

    def number(self, width: int) -> int:
        start, self.place = self.place, self.place + width
        if self.place > len(self.bits):
            raise ValueError("its run lengths end too early")
        return int(self.bits[start : self.place], 2)


def unpacked(packed: list[int], size: tuple[int, int]) -> Mask:
    """Bytes -> mask uint8 0/1 of `size` (height, width): where the paint covers half or more.

    Raises ValueError or TypeError for what is no picture of this size.
    """
    require_size(size)
    bits = _Bits(packed)
    count, width = bits.number(32), bits.number(5) + 1
    counts = [bits.number(4) + 1 for _ in range(4)]
    if count != CHANNELS * size[0] * size[1] or width != 8:
        raise ValueError(f"its run lengths are {count} values of {width} bits, not RGBA of {size}")
    values = np.zeros(count, dtype=np.uint8)
    done = 0
    while done < count:
        repeats = bits.number(1)
        end = done + bits.number(counts[bits.number(2)]) + 1
        if end > count:
            raise ValueError("its run lengths go beyond the image")
        if repeats:
            values[done:end] = bits.number(width)
        else:
            values[done:end] = [bits.number(width) for _ in range(end - done)]
        done = end
    return (values.reshape(*size, CHANNELS)[..., ALPHA] > 127).astype(np.uint8)
