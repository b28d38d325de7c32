"""Draws sample frames of every split with their regions, body heights and zones.

In: data/manifest.csv, data/frames/, data/flow/, data/regions/, data/body_height.json, data/zones.yaml.
Out: reports/preprocess/.
"""

from pathlib import Path

from vad.drawing import contact_sheet
from vad.pipeline import stage
from vad.store.body_heights import read_body_heights
from vad.store.manifest import available
from vad.store.zones import read_zones

MANIFEST = Path("data/manifest.csv")
FRAMES, FLOW, REGIONS = Path("data/frames"), Path("data/flow"), Path("data/regions")
BODY_HEIGHTS, ZONES = Path("data/body_height.json"), Path("data/zones.yaml")
SHEETS = Path("reports/preprocess")


def main(run: stage.Run) -> None:
    clips = available(MANIFEST, FRAMES)
    zones = read_zones(ZONES)
    zones.require({clip.camera for clip in clips}, ZONES)
    contact_sheet.write(SHEETS, clips, FRAMES, FLOW, REGIONS, read_body_heights(BODY_HEIGHTS), zones)


if __name__ == "__main__":
    stage.run(main, __doc__, reads=[MANIFEST, FRAMES, FLOW, REGIONS, BODY_HEIGHTS, ZONES])
