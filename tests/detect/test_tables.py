"""CSV of frames and JSON lines of events."""

import csv
import errno
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.detect.scored_frames import BRANCHES, CELL, info, play, regions, result
from vad import UserError
from vad.detect import output_file
from vad.detect.output_file import OutputFile, require_new
from vad.detect.outputs import Output
from vad.detect.records import EventRecord, EventRecorder
from vad.detect.tables import CsvOutput, JsonlOutput, harmless
from vad.overlay.peak import area_of, peak_box
from vad.overlay.scored_frame import ScoredFrame, SessionInfo
from vad.scoring.events import find
from vad.scoring.params import EventParams

SCORES = [0.5, 2, 3, 0, 0, 2.5, 0, 0, 0, 0, 0, 4, 0.5]  # a gap of 2 frames is merged, one of 5 is not


def write(output: Output, of: SessionInfo, scores: list[float], start: datetime | None = None) -> None:
    for scored, records in play(of, scores, start=start):
        if scored is not None:
            output.frame(scored)
        for record in records:
            output.event(record)
    output.end(of)


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def records_of(of: SessionInfo, scores: list[float], start: datetime | None = None) -> list[EventRecord]:
    return [record for _, records in play(of, scores, start=start) for record in records]


def test_csv_has_a_row_per_frame_with_the_event_to_which_it_belongs(tmp_path: Path) -> None:
    output = CsvOutput(path := tmp_path / "new" / "frames.csv", BRANCHES)
    write(output, info(), SCORES)
    assert not path.exists()  # before it is complete
    output.close()
    rows = read_csv(path)
    assert [row["event"] for row in rows] == ["", *["1"] * 5, "", "", "", "", "", "2", ""]
    assert [float(row["score"]) for row in rows] == SCORES
    assert [row["alarmed"] for row in rows] == [str(int(score > 1)) for score in SCORES]
    assert [float(row["shape_score"]) for row in rows] == [score / 4 for score in SCORES]
    assert rows[3] == {
        "source": "hall.mp4",
        "frame": "3",
        "seconds": "0.300",
        "time": "",
        "score": "0",
        "threshold": "1",
        "alarmed": "0",
        "warming_up": "0",
        "event": "1",
        "motion_score": "0",
        "shape_score": "0",
    }
    assert [file.name for file in path.parent.iterdir()] == ["frames.csv"]


@given(
    scores=st.lists(st.sampled_from([0.0, 2.0, 3.0]), max_size=40),
    gap=st.sampled_from([0, 0.1, 0.4]),
    shortest=st.sampled_from([0, 0.1, 0.5]),
)
def test_events_of_csv_and_records_are_those_of_the_whole_clip(
    tmp_path_factory: pytest.TempPathFactory, scores: list[float], gap: float, shortest: float
) -> None:
    path = tmp_path_factory.mktemp("csv") / "frames.csv"
    of = info(events=EventParams(merge_gap=gap, min_duration=shortest))
    output = CsvOutput(path, BRANCHES)
    write(output, of, scores)
    output.close()
    events = find(np.array(scores), of.threshold, of.fps, of.events)
    expected = [""] * len(scores)
    for number, event in enumerate(events, 1):
        expected[event.start : event.end] = [str(number)] * (event.end - event.start)
    assert [row["event"] for row in read_csv(path)] == expected
    ends = [record for record in records_of(of, scores) if record.state == "end"]
    assert [(r.event, r.start_frame, r.end_frame, r.peak_frame, r.score) for r in ends] == [
        (number, event.start, event.end, event.peak, event.score) for number, event in enumerate(events, 1)
    ]


def test_sources_share_a_table_and_each_is_complete_when_it_ends(tmp_path: Path) -> None:
    output = CsvOutput(path := tmp_path / "frames.csv", BRANCHES, live=True)
    write(output, info(source="a"), SCORES)
    assert [row["source"] for row in read_csv(path)] == ["a"] * len(SCORES)
    write(output, info(source="b"), SCORES)
    output.close()
    assert [row["source"] for row in read_csv(path)] == ["a"] * len(SCORES) + ["b"] * len(SCORES)


def test_rows_of_streams_are_on_the_disk_while_they_come(tmp_path: Path) -> None:
    of = info()
    output = CsvOutput(path := tmp_path / "frames.csv", BRANCHES, live=True)
    for number, (scored, _) in enumerate(play(of, [0.0] * 20)):
        if scored is not None:
            output.frame(scored)
            assert len(read_csv(path)) == max(0, number + 1 - of.undecided)
    output.close()


@pytest.mark.parametrize("source", ["=1+1", "+a", "-a", "@a", "\t=a", "\n=a", '=HYPERLINK("x","y")'])
def test_no_name_is_a_formula_of_a_spreadsheet(tmp_path: Path, source: str) -> None:
    output = CsvOutput(path := tmp_path / "frames.csv", BRANCHES)
    write(output, info(source=source), [0.0])
    output.close()
    (row,) = read_csv(path)
    assert row["source"] == f"'{source}"


@given(source=st.text())
def test_names_of_sources_come_back(tmp_path_factory: pytest.TempPathFactory, source: str) -> None:
    folder = tmp_path_factory.mktemp("names")
    output, lines = CsvOutput(folder / "a.csv", BRANCHES), JsonlOutput(folder / "a.jsonl")
    write(output, info(source=source), SCORES)
    write(lines, info(source=source), SCORES)
    output.close()
    lines.close()
    assert {row["source"] for row in read_csv(folder / "a.csv")} == {harmless(source)}
    written = (folder / "a.jsonl").read_text("ascii").splitlines()
    assert [json.loads(line)["source"] for line in written] == [source] * 4


def test_names_that_are_not_text_are_written(tmp_path: Path) -> None:
    source = b"\xff.mp4".decode("utf-8", "surrogateescape")
    output, lines = CsvOutput(tmp_path / "a.csv", BRANCHES), JsonlOutput(tmp_path / "a.jsonl")
    write(output, info(source=source), SCORES)
    write(lines, info(source=source), SCORES)
    output.close()
    lines.close()
    assert read_csv(tmp_path / "a.csv")[0]["source"] == "\\udcff.mp4"
    assert json.loads((tmp_path / "a.jsonl").read_text("ascii").splitlines()[0])["source"] == source


def test_lines_of_events_are_on_the_disk_at_once(tmp_path: Path) -> None:
    output = JsonlOutput(path := tmp_path / "events.jsonl", live=True)
    states = []
    for _, records in play(info(), SCORES):
        for record in records:
            output.event(record)
            states.append(json.loads(path.read_text("ascii").splitlines()[-1])["state"])
    output.close()
    assert states == ["begin", "end", "begin", "end"]
    first, second = (json.loads(line) for line in path.read_text("ascii").splitlines()[:2])
    assert (first["start"], first["end"], first["peak"], first["event"]) == (0.1, None, 0.1, 1)
    assert second == {
        "source": "hall.mp4",
        "camera": "hall",
        "event": 1,
        "state": "end",
        "start": 0.1,
        "end": 0.6,
        "peak": 0.2,
        "start_time": None,
        "end_time": None,
        "peak_time": None,
        "start_frame": 1,
        "end_frame": 6,
        "peak_frame": 2,
        "score": 3.0,
        "threshold": 1.0,
        "shares": {"motion": 0.75, "shape": 0.25},
        "box": None,
        "where": "whole picture",
    }


def test_times_of_streams_have_an_offset() -> None:
    start = datetime(2026, 3, 29, 1, 59, 59, 950_000, timezone(timedelta(hours=1)))
    end = records_of(info(), SCORES, start)[1]
    assert end.start_time == "2026-03-29T02:00:00.050+01:00"
    assert end.end_time is not None
    assert datetime.fromisoformat(end.end_time) - start.astimezone(UTC) == timedelta(seconds=0.6)


def test_an_event_is_where_its_highest_region_is() -> None:
    of = info(picture_size=(96, 128))  # twice the size of the frames
    found = regions([[0, 0, 10, 10], [50, 30, 60, 46]])
    outcome = result(0, 5, of=of, found=found, region_scores=[1.5, 4])
    assert peak_box(of, outcome) == (100, 60, 120, 92)
    assert area_of((100, 60, 120, 92), of.picture_size) == "lower right"


def test_an_event_without_a_high_region_is_where_a_cell_raised_its_score_most() -> None:
    of = info()
    cells = np.zeros((6, 8), np.float32)
    cells[0, 3] = 3
    low = result(0, 5, of=of, found=regions([[50, 30, 60, 46]]), region_scores=[0.5], contributions=cells)
    assert peak_box(of, low) == (3 * CELL, 0, 4 * CELL, CELL)
    whole = result(0, 5, of=of, found=regions([[0, 0, 64, 48]], "frame"), contributions=cells)
    assert peak_box(of, whole) == (3 * CELL, 0, 4 * CELL, CELL)
    assert peak_box(of, result(0, 5, of=of, found=regions([[0, 0, 64, 48]], "frame"))) is None
    # without maps, all of the frame raised the score
    even = np.full((6, 8), 5, np.float32)
    assert (
        peak_box(of, result(0, 5, of=of, found=regions([[0, 0, 64, 48]], "frame"), contributions=even))
        is None
    )


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((0, 0, 10, 10), "upper left"),
        ((40, 40, 60, 60), "centre"),
        ((90, 45, 100, 55), "right"),
        ((45, 90, 55, 100), "lower centre"),
        (None, "whole picture"),
    ],
)
def test_areas_in_words(box: tuple[int, int, int, int] | None, words: str) -> None:
    assert area_of(box, (100, 100)) == words


def test_numbers_of_events_go_on_in_a_later_session() -> None:
    of = info()
    recorder = EventRecorder(of, events=7)
    (update,) = (u for scored, _ in play(of, [2.0]) if scored is not None for u in scored.result.events)
    (record,) = recorder.records(ScoredFrame(of, result(0, 2, of=of, events=[update])))
    assert (record.event, recorder.current, recorder.events) == (8, 8, 8)


def test_existing_files_are_refused_by_name_and_replaced_only_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("old")
    with pytest.raises(UserError, match=r"events\.jsonl: exists; .*--overwrite"):
        JsonlOutput(path)
    assert path.read_text() == "old"
    CsvOutput(path, BRANCHES, overwrite=True).close()
    assert path.read_text().startswith("source,frame,")


def test_sources_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("footage")
    (tmp_path / "link.mp4").symlink_to("clip.mp4")
    with pytest.raises(UserError, match="is read as a source"):
        require_new(tmp_path / "link.mp4", overwrite=True, inputs=[tmp_path / "clip.mp4"])


def test_folders_and_files_in_the_way_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        require_new(tmp_path, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the folder cannot be made"):
        JsonlOutput(tmp_path / "file" / "events.jsonl")


def test_devices_are_written_to_and_stay() -> None:
    output = CsvOutput(Path("/dev/null"), BRANCHES, overwrite=True)
    write(output, info(), SCORES)
    output.close()
    assert Path("/dev/null").is_char_device()


def test_an_incomplete_file_says_so_in_its_name(tmp_path: Path) -> None:
    output = CsvOutput(tmp_path / "frames.csv", BRANCHES)
    write(output, info(), SCORES)
    output.close(complete=False)
    assert [path.name for path in tmp_path.iterdir()] == ["frames.incomplete.csv"]
    assert len(read_csv(tmp_path / "frames.incomplete.csv")) == len(SCORES)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_one_line_that_names_the_file() -> None:
    with pytest.raises(UserError, match="/dev/full: the disk is full") as caught:
        CsvOutput(Path("/dev/full"), BRANCHES)
    assert "\n" not in str(caught.value)


class _FullDisk:
    """A raw file that takes so many bytes and then reports a full disk, in the middle of a write."""

    def __init__(self, file: object, room: int):
        self._file, self.room = file, room

    def write(self, data: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._file.write(data[: self.room])  # type: ignore[attr-defined]
        self.room -= written
        return int(written)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [0, 1, 300, 700])
def test_what_was_written_before_the_disk_was_full_is_readable(
    tmp_path: Path, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_file, "open", lambda *a, **k: _FullDisk(open(*a, **k), room), raising=False)
    output = JsonlOutput(path := tmp_path / "events.jsonl", live=True)
    with pytest.raises(UserError, match=r"events\.jsonl: the disk is full") as caught:
        write(output, info(), SCORES * 10)
    assert "\n" not in str(caught.value)
    output.close(complete=False)
    # a file without a line is removed
    lines = path.read_text("ascii").splitlines(keepends=True) if path.exists() else []
    length = len(records_of(info(), SCORES)[0].to_json()) + 1
    assert len(lines) >= room // length - 1
    assert all(line.endswith("\n") and json.loads(line) for line in lines)


@pytest.mark.parametrize("name", ["x" * 250, "é" * 125, "-a b'\"\n$(c);*?", "..x"])
def test_any_name_is_possible(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.csv"
    file = OutputFile(path, visible=False)
    file.write(b"a")
    assert file.close() == path
    assert path.read_bytes() == b"a"
