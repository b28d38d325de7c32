"""Ensembles of folds: the mean of the errors of all members, of branches that learn."""

import numpy as np
import pytest

from tests.branches.measured import STATISTICS, Half, branches_of, measure, write_inputs
from vad import UserError
from vad.branches.base import save_statistics
from vad.branches.classes import Classes
from vad.branches.ensemble import open_members, trained_folds
from vad.branches.reconstruction import Reconstruction
from vad.branches.speed import Speed
from vad.models import create, save
from vad.models.conv2d import Conv2d


class Share(Half):
    """Outputs a share of its input."""

    def __init__(self, share: float):
        super().__init__()
        self.share = share

    def forward(self, x):
        return x * self.share


def statistics(shift: float) -> dict[str, np.ndarray]:
    return STATISTICS | {"mean": STATISTICS["mean"] + np.float32(shift)}


def test_errors_and_maps_are_the_mean_of_those_of_the_members(tmp_path):
    members = [branches_of(Share(k / 4), statistics(k), maps=True) for k in range(3)]
    stems = write_inputs(tmp_path)
    each = [measure(tmp_path, stems, branches, f"alone{k}") for k, branches in enumerate(members)]
    speed = members[0][-1]
    together = measure(tmp_path, stems, [b for part in members for b in part[:-1]] + [speed], "all")
    assert together.branches == each[0].branches
    for branch in ("error_reconstruction", "error_classes"):
        values = [clip.table[branch].to_numpy(np.float64) for clip in each]
        assert not np.allclose(values[0], values[1])
        np.testing.assert_allclose(together.table[branch], np.mean(values, 0), rtol=1e-6)
    maps = np.mean([np.asarray(clip.maps["reconstruction"], np.float64) for clip in each], 0)
    np.testing.assert_allclose(together.maps["reconstruction"], maps, rtol=1e-3)  # float16
    np.testing.assert_array_equal(together.maps["speed"], each[0].maps["speed"])


def test_branches_that_learn_are_opened_once_per_fold_and_others_once(tmp_path):
    params = Conv2d.Params(window={"frames": 1}, channels=[4])
    for fold in (0, 2, 10):
        save(create("conv2d", params, (1, 1, 8, 8), ["gray"]), tmp_path / f"autoencoder/{fold}")
        save_statistics(tmp_path / f"statistics/{fold}/classes", statistics(fold))
    folds = trained_folds(tmp_path / "autoencoder")
    assert folds == [0, 2, 10]
    classes = (Reconstruction, Classes, Speed)
    members, hashes = open_members(
        [(branch, branch.Params()) for branch in classes],
        folds,
        tmp_path / "autoencoder",
        tmp_path / "statistics",
    )
    assert [branch.name for branch in members] == [
        *("reconstruction", "classes", "speed"),
        *("reconstruction", "classes"),
        *("reconstruction", "classes"),
    ]
    means = [branch.statistics["mean"][0] for branch in members if isinstance(branch, Classes)]
    assert means == [STATISTICS["mean"][0] + fold for fold in folds]
    assert len(set(hashes) - {""}) == 6


def test_models_of_no_fold_are_refused(tmp_path):
    params = Conv2d.Params(window={"frames": 1}, channels=[4])
    save(create("conv2d", params, (1, 1, 8, 8), ["gray"]), tmp_path / "autoencoder")
    with pytest.raises(UserError, match="no autoencoder of any fold; run `dvc repro train`"):
        trained_folds(tmp_path / "autoencoder")
