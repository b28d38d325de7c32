"""Names and values of the planes of a tensor. Everything that must agree about them stands here alone."""

from typing import Literal

Channel = Literal["picture", "gray", "rgb", "difference", "flow", "silhouette"]  # of `resize.channels`

FLOW = ("flow_x", "flow_y")  # names of the planes of flow: displacement right and down
PLANES = {"rgb": ("red", "green", "blue"), "flow": FLOW}  # of channels with several; others are their name
WHITE = 255  # the largest value of a plane; models are shown value / WHITE
STILL = 128  # the value of a flow plane where nothing moves
STILL_INPUT = STILL / WHITE  # the same as models are shown it
