"""The section `preprocess.person_crop.onnx` of params.yaml."""

from typing import Literal

from vad.pipeline.params import Field, Section


class DetectorParams(Section):
    """`preprocess.person_crop.onnx`: the detector, and which of its boxes are used."""

    weights: str | None = Field(
        None,
        description="YOLOX or YOLOv8 detector exported to ONNX: a path, or a URL that is downloaded once",
    )
    sha256: str | None = Field(
        None,
        description="sha256 of the weights, 64 hexadecimal digits; required, and checked before every use. "
        "While it is null, the error message shows the sha256 of the file",
    )
    layout: Literal["auto", "yolox", "yolox_decoded", "yolov8", "end_to_end"] = Field(
        "auto", description="layout of the output; `auto` recognises it by shape and values"
    )
    classes: list[str | int] = Field(
        [],
        description="names or numbers of the classes to use; empty for all (a lying person is often detected "
        "as another class)",
    )
    confidence: float = Field(0.2, ge=0, lt=1, description="confidence that a box must exceed")
    nms_iou: float = Field(
        0.5,
        gt=0,
        le=1,
        description="a box whose IoU with a more confident box of the same class is higher is dropped",
    )
    every_n: int = Field(
        1,
        ge=1,
        description="the detector runs on every n-th frame and the last; boxes in between are interpolated",
    )
    batch_size: int = Field(
        8, ge=1, le=256, description="frames at a time, if the export supports it; affects only the speed"
    )
