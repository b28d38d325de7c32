"""Pushing from a clone and continuing in another: through a folder, through S3, and footage as a data set."""

import shutil
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests import project as tiny
from tests.project import Project, computed, ran, restored

METRICS, SUMMARY = "metrics/evaluate.json", "reports/summary.md"
SECRET = "not-a-real-secret-7f3a"

Prepare = Callable[[Project], None]  # configures the remote of a clone


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Project:
    """A project that has run, results committed, nothing pushed."""
    return tiny.make_and_run(tmp_path_factory.mktemp("sharing"))[0]


@pytest.fixture(scope="module")
def s3():
    """Address of an S3 server on loopback, with the bucket `footage`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "tests", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket="footage")
    yield address
    server.stop()


def push_and_continue(first: Project, folder: Path, prepare: Prepare) -> None:
    """What colleagues do once `first` has run: pull all, or pull nothing and change the evaluation."""
    prepare(first)
    first.run("dvc", "push")
    assert first.run("git", "status", "--short") == ""

    pulled = first.clone(folder / "pulled", DVC_SITE_CACHE_DIR=str(folder / "site1"))
    prepare(pulled)
    assert not (pulled / "data/frames").exists()
    pulled.run("dvc", "pull")
    assert same_files(first / "data", pulled / "data") > 30
    assert same_files(first / "models", pulled / "models") == 18
    output = pulled.repro()
    assert ran(output) == restored(output) == set()
    assert pulled.run("git", "status", "--short") == ""

    lazy = first.clone(folder / "lazy", DVC_SITE_CACHE_DIR=str(folder / "site2"))
    prepare(lazy)
    lazy.set({"evaluate.max_delay": 2.0})
    output = lazy.repro("--pull", "--allow-missing")
    assert ran(output) == {"evaluate", "report"}  # every event is found within a second, so nothing changes
    assert not (lazy / "data/tensors/train").exists(), "what evaluate does not need is not fetched"
    assert lazy.read(METRICS) == first.read(METRICS)


def same_files(first: Path, other: Path) -> int:
    """The number of files below two folders, which must be the same."""
    files = {path.relative_to(first): path.read_bytes() for path in first.rglob("*") if path.is_file()}
    assert {path.relative_to(other) for path in other.rglob("*") if path.is_file()} == files.keys()
    for name, data in files.items():
        assert (other / name).read_bytes() == data, name
    return len(files)


def test_sharing_through_a_folder(first, tmp_path):
    push_and_continue(first, tmp_path, prepare=lambda clone: None)


@pytest.mark.slow
def test_sharing_through_s3_with_secrets_outside_git(first, s3, tmp_path):
    def prepare(clone: Project) -> None:
        clone.run("dvc", "remote", "add", "-q", "--local", "--default", "bucket", "s3://footage/store")
        for key, value in {
            "endpointurl": s3,
            "region": "us-east-1",
            "access_key_id": "tests",
            "secret_access_key": SECRET,
        }.items():
            clone.run("dvc", "remote", "modify", "-q", "--local", "bucket", key, value)

    push_and_continue(first, tmp_path, prepare)
    for clone in (first, Project(tmp_path / "pulled"), Project(tmp_path / "lazy")):
        assert SECRET in clone.read(".dvc/config.local").decode()
        clone.run("git", "add", "--all")
        for word in (SECRET, s3):
            clone.run("git", "grep", "--cached", "-F", word, fails=True)


def test_footage_as_a_shared_data_set(tmp_path):
    """`dvc add data/raw`, pulled in a clone; a further video is added, and only this video is decoded."""
    project = tiny.make(tmp_path, root="data/raw", commit=False)
    project.run("dvc", "add", "data/raw")
    project.commit("footage")
    assert project.run("git", "ls-files", "data/raw", "data/raw.dvc") == "data/raw.dvc\n"
    project.run("dvc", "push")

    colleague = project.clone(tmp_path / "colleague", DVC_SITE_CACHE_DIR=str(tmp_path / "site2"))
    assert not (colleague / "data/raw").exists()
    colleague.run("dvc", "pull", "data/raw")
    assert same_files(project / "data/raw", colleague / "data/raw") == 10
    output = colleague.repro("extract")
    assert ran(output) == {"ingest", "extract"}
    assert computed(output) == {"extract": 6}
    colleague.commit("frames")

    spare = tiny.generate(tmp_path / "spare", tiny.SPARE)
    shutil.copy(spare / "test/hall/walk.mp4", colleague / "data/raw/test/hall/new.mp4")
    colleague.run("dvc", "add", "data/raw/test/hall/new.mp4")
    assert colleague.run("git", "diff", "HEAD", "--name-only") == "data/raw.dvc\n"
    output = colleague.repro("extract")
    assert ran(output) == {"ingest", "extract"}
    assert computed(output) == {"extract": 1}
    assert (colleague / "data/frames/test/hall_new.npy").is_file()
