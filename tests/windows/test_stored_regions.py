"""The stored regions of a clip, frame by frame."""

from pathlib import Path

import numpy as np
import pytest

from tests.windows.tensors import table_of
from vad.regions.table import write
from vad.store.arrays import write_array
from vad.windows.stored_regions import StoredRegions

ROWS = [(1, 5, 0, 1, 8, 9), (1, -1, 2, 2, 4, 4), (4, 5, 1, 1, 9, 9)]


@pytest.mark.parametrize("full", [False, True])
def test_regions_are_those_of_the_table(tmp_path, full):
    rng = np.random.default_rng(0)
    scores, masks = rng.random((3, 4)).astype(np.float16), rng.random((6, 7, 10)) < 0.5
    write(tmp_path / "a", table_of(ROWS).assign(source=["motion", "detector", "motion"], confidence=0.5))
    if full:
        write_array(Path(f"{tmp_path}/a.classes"), scores)
        write_array(Path(f"{tmp_path}/a.silhouette"), np.packbits(masks, axis=-1), height=7, width=10)
    stored = StoredRegions(tmp_path / "a", 6, silhouettes=True)
    assert (len(stored), stored.has_silhouettes, stored.classes) == (6, full, 4 if full else None)
    for t in range(6):
        rows = [i for i, row in enumerate(ROWS) if row[0] == t]
        regions = stored[t]
        assert regions.boxes.tolist() == [list(ROWS[i][2:]) for i in rows]
        assert regions.tracks.tolist() == [ROWS[i][1] for i in rows]
        assert regions.sources.tolist() == [["motion", "detector", "motion"][i] for i in rows]
        assert regions.confidence.tolist() == [0.5] * len(rows)
        assert (regions.boxes.dtype, regions.tracks.dtype) == (np.int32, np.int32)
        if full:
            np.testing.assert_array_equal(regions.class_scores, scores[rows])
            np.testing.assert_array_equal(regions.foreground, masks[t])
        else:
            assert regions.class_scores is regions.foreground is None
    assert StoredRegions(tmp_path / "a", 6)[2].foreground is None
    assert [stored.rows(stride).tolist() for stride in (1, 2, 3)] == [[0, 1, 2], [2], []]
