"""vad.models.vgg16 with weights in torchvision's file formats."""

import hashlib
import http.server
import threading
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch.nn import functional

from vad import UserError, models
from vad.models import Autoencoder, vgg16

# number in torchvision's `features` -> planes in and out; a pooling follows the last of each row
CONVOLUTIONS = [
    {0: (3, 64), 2: (64, 64)},
    {5: (64, 128), 7: (128, 128)},
    {10: (128, 256), 12: (256, 256), 14: (256, 256)},
    {17: (256, 512), 19: (512, 512), 21: (512, 512)},
    {24: (512, 512), 26: (512, 512), 28: (512, 512)},
]


def random_weights() -> dict[str, torch.Tensor]:
    """Random weights with torchvision's names and shapes, except for a smaller classifier."""
    generator = torch.Generator().manual_seed(2)
    state = {}
    for row in CONVOLUTIONS:
        for i, (a, b) in row.items():
            state[f"features.{i}.weight"] = torch.randn(b, a, 3, 3, generator=generator) * (2 / 9 / a) ** 0.5
            state[f"features.{i}.bias"] = torch.randn(b, generator=generator) / 10
    return state | {"classifier.0.weight": torch.rand(8, 8), "classifier.0.bias": torch.rand(8)}


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return random_weights()


@pytest.fixture(scope="module")
def file(state, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    torch.save(state, path)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def create(planes=1, frames=1, side=16, names=("r", "g", "b", "x"), **changed) -> Autoencoder:
    torch.manual_seed(0)
    plain = {
        "window": {"frames": frames},
        "pretrained": False,
        "weights": "none.pth",
        "sha256": None,
        "depth": 3,
        "decoder": [12, 8, 4],
    }
    params = vgg16.Vgg16.Params(**plain | changed)
    return models.create("vgg16", params, (planes, frames, side, side), names[:planes])


def prepared(
    path: Path | str, cache: Path, sha: str | None = None, **changed
) -> tuple[Autoencoder, list[str]]:
    lines: list[str] = []
    model = create(pretrained=True, weights=str(path), sha256=sha or sha256(Path(path)), **changed)
    model.prepare(cache, lines.append)
    return model, lines


def refused(path: Path | str, cache: Path, sha: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        prepared(path, cache, sha)
    assert "\n" not in str(caught.value)
    assert not list(cache.glob("weights/vgg16-*")), "nothing half done stays"
    return str(caught.value)


def by_hand(state: dict[str, torch.Tensor], x: torch.Tensor, depth: int) -> torch.Tensor:
    """The features of RGB frames (B, 3, h, w)."""
    planes = zip(x.unbind(1), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)
    y = torch.stack([(plane - mean) / std for plane, mean, std in planes], 1)
    for row in CONVOLUTIONS[:depth]:
        for i in row:
            weight, bias = state[f"features.{i}.weight"], state[f"features.{i}.bias"]
            y = functional.conv2d(y, weight, bias, padding=1).clamp(min=0)
        y = functional.max_pool2d(y, 2)
    return y


@pytest.mark.parametrize("depth", [3, 4, 5])
@pytest.mark.parametrize("planes", [1, 3])
def test_features_are_those_of_the_file(state, file, tmp_path, depth, planes):
    model, lines = prepared(
        file, tmp_path, planes=planes, frames=2, side=32, depth=depth, decoder=[6, 5, 4, 3, 2][:depth]
    )
    assert lines == [f"VGG16 starts from the features in {file}"]
    x = torch.rand(2, planes, 2, 32, 32)
    codes: list[torch.Tensor] = []
    model.decoder.register_forward_pre_hook(lambda _, inputs: codes.append(inputs[0]))
    y = model(x)
    assert y.shape == x.shape
    assert ((y > 0) & (y < 1)).all()
    for b in range(2):
        for t in range(2):
            frame = x[b, :, t].expand(3, -1, -1)[None]  # a gray plane is repeated three times
            torch.testing.assert_close(
                codes[0][b * 2 + t][None], by_hand(state, frame, depth), rtol=1e-3, atol=1e-4
            )
    assert codes[0].shape[1:] == ([256, 512, 512][depth - 3], 32 >> depth, 32 >> depth)


def test_names_are_those_of_torchvision():
    model = create(depth=5, decoder=[2] * 5, side=32)
    shapes = {n: tuple(v.shape) for n, v in model.state_dict().items() if not n.startswith("decoder.")}
    assert shapes == {n: tuple(v.shape) for n, v in random_weights().items() if n.startswith("features.")}
    assert len(shapes) == 26


def test_frames_are_coded_independently():
    model = create(planes=3, frames=3).eval()
    x = torch.rand(2, 3, 3, 16, 16)
    with torch.inference_mode():
        single = [
            create(planes=3).eval()(x[:, :, t : t + 1])
            for t in range(3)  # drawn from the same seed
        ]
        torch.testing.assert_close(model(x), torch.cat(single, 2))


def test_the_decoder_is_trained_and_the_features_are_not(file, tmp_path):
    model, _ = prepared(file, tmp_path)
    model.train()
    assert model.decoder.training
    assert not any(layer.training for layer in model.features.modules())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    adam = torch.optim.Adam(model.parameters(), 1e-2)
    x = torch.rand(2, 1, 1, 16, 16)
    for _ in range(2):
        adam.zero_grad()
        (model(x) - model.target(x)).square().mean().backward()
        adam.step()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("features."), name
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == {
        name for name in before if name.startswith("features.")
    }


def test_a_stored_model_does_not_need_the_weights_file(file, tmp_path):
    model, _ = prepared(file, tmp_path / "cache")
    models.save(model, tmp_path / "autoencoder")
    back, _ = models.load(tmp_path / "autoencoder")
    x = torch.rand(2, 1, 1, 16, 16)
    with torch.inference_mode():
        assert torch.equal(back(x), model.eval()(x))


def test_without_pretrained_it_warns_and_reads_no_file(tmp_path):
    model, lines = create(), []
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.prepare(tmp_path / "cache", lines.append)
    assert len(lines) == 1
    assert "WARNING: VGG16 starts from random features, not ImageNet's" in lines[0]
    assert "model.vgg16.pretrained: true" in lines[0]
    assert not (tmp_path / "cache").exists()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_random_features_keep_their_variance():
    model = create(depth=5, decoder=[2] * 5, side=64)
    with torch.inference_mode():
        code = model.features(torch.randn(2, 3, 64, 64))
    assert 0.1 < code.std() < 10


def test_the_file_is_converted_once(state, file, tmp_path, monkeypatch):
    prepared(file, tmp_path)
    (kept,) = (tmp_path / "weights").iterdir()
    assert kept.name == f"vgg16-{sha256(file)}.safetensors"
    assert set(vgg16.read(kept)) == {name for name in state if name.startswith("features.")}

    def refuse(*_):
        raise AssertionError("converted again")

    monkeypatch.setattr(vgg16, "convert", refuse)
    model, _ = prepared(file, tmp_path, sha256(file).upper())
    assert torch.equal(model.features[0].weight, state["features.0.weight"])
    kept.write_bytes(b"damaged")
    with pytest.raises(UserError, match=rf"{kept.name}: cannot be read.*remove it if it lies in the cache"):
        prepared(file, tmp_path)


def test_safetensors_and_half_precision_are_accepted(state, tmp_path):
    path = tmp_path / "vgg16.safetensors"
    save_file({name: value.half() for name, value in state.items()}, path)
    model, _ = prepared(path, tmp_path / "cache")
    assert model.features[14].weight.dtype == torch.float32
    assert torch.equal(model.features[14].weight, state["features.14.weight"].half().float())


def test_a_url_is_downloaded_once(state, file, tmp_path):
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            content = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}/vgg16.pth"
        for _ in range(2):
            model, _ = prepared(address, tmp_path, sha256(file))
            assert torch.equal(model.features[0].weight, state["features.0.weight"])
        server.shutdown()
        thread.join()
    assert asked == ["/vgg16.pth"]


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"features.28.bias": None}, "features.28.bias is missing instead of 512"),  # though not used
        ({"features.2.weight": torch.zeros(64)}, "features.2.weight is 64 instead of 64x64x3x3"),
        ({"features.0.bias": [0.0] * 64}, "features.0.bias is missing instead of 64"),
    ],
)
def test_another_architecture_is_refused(state, tmp_path, change, difference):
    path = tmp_path / "other.pth"
    torch.save({name: v for name, v in (state | change).items() if v is not None}, path)
    message = refused(path, tmp_path)
    assert f"{path}: not VGG16, as {difference}; model.vgg16.weights must name torchvision's" in message


@pytest.mark.parametrize("content", [[1, 2], {}, {"state_dict": {}}, torch.zeros(3)], ids=str)
def test_a_file_without_weights_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    assert "features.0.weight is missing" in refused(tmp_path / "other.pth", tmp_path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ""])
@pytest.mark.parametrize("content", [b"junk", b"\x80\x04]\x94.", b"PK\x03\x04" + bytes(99), b"{" * 100])
def test_a_broken_file_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    message = refused(path, tmp_path)
    assert f"{path}: cannot be read as weights" in message
    assert "torchvision" in message


def test_a_truncated_file_is_refused(file, tmp_path):
    path = tmp_path / "short.pth"
    path.write_bytes(file.read_bytes()[:100_000])
    assert "cannot be read as weights" in refused(path, tmp_path)


class Evil:
    def __reduce__(self):
        return print, ("code was run",)


def test_no_code_in_a_file_is_run(tmp_path, capsys):
    torch.save({"features.0.weight": Evil()}, tmp_path / "evil.pth")
    assert "cannot be read as weights (UnpicklingError)" in refused(tmp_path / "evil.pth", tmp_path)
    assert "code was run" not in capsys.readouterr().out


def test_a_file_other_than_the_checksum_says_is_refused(file, tmp_path):
    message = refused(file, tmp_path, "ab" * 32)
    assert f"{file}: its sha256 is {sha256(file)}, but model.vgg16.sha256 says {'ab' * 32}" in message


def test_a_file_without_checksum_is_refused_with_its_checksum(file, tmp_path):
    model = create(pretrained=True, weights=str(file))
    with pytest.raises(UserError, match=rf"set model\.vgg16\.sha256: {sha256(file)} if you trust"):
        model.prepare(tmp_path, print)


def test_a_missing_file_is_refused(tmp_path):
    message = refused(tmp_path / "none.pth", tmp_path, "ab" * 32)
    assert message.startswith(f"model.vgg16.weights: {tmp_path / 'none.pth'} not found; name torchvision's")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"planes": 4}, r"1 or 3 planes, got 4 \(r, g, b, x\); set resize\.channels: \[gray\], or \[rgb\]"),
        ({"planes": 2, "names": ()}, r"got 2 \(without names\)"),
        ({"side": 20}, r"vgg16 needs resize\.height divisible by 8, got 20: try 16 or 24"),
        ({"side": 24, "depth": 4, "decoder": [4] * 4}, r"divisible by 16, got 24: try 16 or 32"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(changed, message):
    with pytest.raises(UserError, match=message):
        create(**changed)


@pytest.mark.parametrize("depth", [2, 4, 6])
def test_depth_and_decoder_must_agree(depth):
    message = "decoder has 3 entries and depth is 4" if depth == 4 else "depth"
    with pytest.raises(ValidationError, match=message):
        create(depth=depth)


def test_its_shape_can_be_checked_without_memory():
    with torch.device("meta"):
        model = create(planes=3, side=1024)
        assert model(torch.empty(1, 3, 1, 1024, 1024)).shape == (1, 3, 1, 1024, 1024)
