"""Names and values of the planes of a tensor."""

from typing import Literal

Channel = Literal["picture", "gray", "rgb", "difference", "flow", "silhouette"]


PLANES = {"rgb": ["red", "green", "blue"], "flow": ["flow_x", "flow_y"]}  # of channels with several


STILL = 128  # the value of a flow plane where nothing moves


FLOW = ("flow_x", "flow_y")  # names of planes
