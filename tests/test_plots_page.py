"""The page of `make plots`: names that say what experiments changed."""

import json

from vad.plots import names, relabelled


def revision(name: str | None, **values) -> dict:
    sections: dict = {}
    for key, value in values.items():
        section, _, last = key.partition("__")
        sections.setdefault(section, {})[last] = value
    data = {"params": {"params.yaml": {"data": sections}}}
    return {"rev": "0123456789", "name": name, "data": data}


BASE = {"train__epochs": 20, "train__seed": 0, "validate__seed": 0, "model__channels": [4, 8]}


def shown(**experiments) -> list[dict]:
    """What `dvc exp show --json` prints, with experiments by name and what they changed."""
    entries = [
        {"name": name, "executor": {"state": "success"}, "revs": [revision(name, **BASE | changed)]}
        for name, changed in experiments.items()
    ]
    commit = revision("main", **BASE) | {"experiments": entries}
    return [revision("workspace", **BASE) | {"rev": "workspace"}, commit]


def test_experiments_are_called_by_what_they_changed():
    got = names(
        shown(
            sandy={"train__epochs": 40},
            faint={"train__epochs": 5, "model__channels": [16, 32]},
            dusty={"train__seed": 1},
            lost={"validate__seed": 2},
        )
    )
    assert got == {
        "sandy": "epochs=40",
        "faint": "channels=[16,32], epochs=5",
        "dusty": "train.seed=1",  # the last part alone would be ambiguous
        "lost": "validate.seed=2",
    }


def test_names_differ_and_are_short():
    got = names(
        shown(a={"train__epochs": 4}, b={"train__epochs": 4}, c={}, d={"model__channels": list(range(40))})
    )
    assert (got["a"], got["b"], got["c"]) == ("epochs=4 (a)", "epochs=4 (b)", "nothing changed")
    assert len(got["d"]) < 50
    assert got["d"].endswith("…")


def test_a_page_has_the_names_in_charts_and_beside_pictures_but_not_in_paths():
    row = json.dumps({"rev": "sandy-hill", "clip": "sandy-hill-walk"})
    page = f'<script>{row} "range": ["#945dd6"]</script><p>sandy-hill</p><img src="static/sandy-hill_a.png">'
    new = relabelled(page, {"sandy-hill": 'x=</script>"&'})
    assert new.count("</script>") == 1
    values, _, rest = new.removeprefix("<script>").partition(' "range"')
    assert json.loads(values) == {"rev": 'x=</script>"&', "clip": "sandy-hill-walk"}
    assert "<p>x=&lt;/script&gt;&quot;&amp;</p>" in rest
    assert 'src="static/sandy-hill_a.png"' in rest
    assert "#945dd6" not in new
