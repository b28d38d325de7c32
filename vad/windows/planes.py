"""Names and values of the planes of a tensor, on which all stages must agree."""

from typing import Literal

Channel = Literal["picture", "gray", "rgb", "difference", "flow", "silhouette"]  # of `resize.channels`

FLOW = ("flow_x", "flow_y")  # planes of flow: velocity to the right and down
PLANES = {"rgb": ("red", "green", "blue"), "flow": FLOW}  # other channels have a plane with their name
SINGLE_FRAME = ("gray", *PLANES["rgb"])  # planes that show a frame as it is, without others or a background
WHITE = 255  # largest value of a plane; the input of models is value / WHITE
STILL = 128  # value of a flow plane where nothing moves
FLOW_STEPS = 127  # number of steps from STILL to the highest velocity, `resize.flow_range`
STILL_INPUT = STILL / WHITE  # the same in the input of models
