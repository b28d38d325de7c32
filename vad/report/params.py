"""The section `report` of params.yaml."""

from typing import Literal

from vad.overlay.privacy import Privacy
from vad.pipeline.params import Field, Section


class ReportParams(Section):
    """`report`"""

    videos: Literal["all", "events", "none"] = Field(
        "all",
        description="test clips with a video of their boxes and scores: `all`, those with an event or a "
        "labelled anomaly (`events`), or `none`, which is faster",
    )
    privacy: Privacy = Field(
        "none",
        description="what becomes of people in all pictures and videos of the page: `none` shows them, "
        "`blur` blurs them, `silhouette` leaves only their silhouettes; neither hides people whom the model "
        "misses",
    )
    moments: int = Field(
        24,
        ge=1,
        le=500,
        description="maximum number of pictures in each gallery: the most anomalous moments, the worst "
        "mistakes, the alarms of left-out normal footage; and of events with a picture in each clip",
    )
