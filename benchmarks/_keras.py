"""The Keras side of `benchmarks.training`: a process in a separate environment that trains on request.

    python benchmarks/_keras.py FOLDER

FOLDER has task.json (`train` and `val`: paths of pictures; `height`, `width`, `channels`, `batch_size`,
`learning_rate`, `threads`) and weights.npz (`w0`, `b0`, `w1` …, the weights of the convolutions in torch's
layout). The process first writes a line of JSON that describes the network. Then it reads requests from
stdin, `files E` or `memory E`, trains for E epochs from the given weights, and answers each by a line of
JSON: `seconds`, `spent` (processor time), and the `loss` and `val_loss` of each epoch.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}

import cv2
import keras
import numpy as np
import tensorflow as tf


class Pictures(keras.utils.PyDataset):
    """Batches of pictures, read and resized on each access; input and target are the same."""

    def __init__(self, paths: list[str], task: dict[str, Any], shuffle: bool):
        super().__init__(workers=task["threads"])  # faster than Keras's default of 1
        self.paths, self.shuffle = np.array(paths), shuffle
        self.size, self.batch_size = (task["width"], task["height"]), task["batch_size"]
        self.random = np.random.default_rng(0)
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self.paths) // self.batch_size)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        batch = read(self.paths[i * self.batch_size : (i + 1) * self.batch_size], self.size)
        return batch, batch

    def on_epoch_end(self) -> None:
        if self.shuffle:
            self.random.shuffle(self.paths)


def read(paths: list[str] | np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Gray pictures in [0, 1], float32 [N, height, width, 1]."""
    pictures = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
    small = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures]
    return np.stack(small)[..., None].astype(np.float32) / 255


def build(task: dict[str, Any], weights: list[np.ndarray]) -> keras.Model:
    """`vad.models.conv2d` in Keras, with its weights."""
    layers = keras.layers
    x = first = layers.Input((task["height"], task["width"], 1))
    for n in task["channels"]:
        x = layers.MaxPooling2D()(layers.Conv2D(n, 3, padding="same", activation="relu")(x))
    for n in reversed(task["channels"]):
        x = layers.UpSampling2D()(layers.Conv2D(n, 3, padding="same", activation="relu")(x))
    x = layers.Conv2D(1, 3, padding="same", activation="sigmoid", dtype="float32")(x)
    model = keras.Model(first, x)
    model.set_weights(weights)
    adam = keras.optimizers.Adam(task["learning_rate"], epsilon=1e-8)  # torch's epsilon
    model.compile(adam, "mse")
    adam.build(model.trainable_variables)
    return model


def main() -> None:
    # stdout is only for answers; the output of libraries goes to stderr
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**what: Any) -> None:
        print(json.dumps(what), file=answers, flush=True)

    folder = Path(sys.argv[1])
    task = json.loads((folder / "task.json").read_text("utf-8"))
    tf.config.threading.set_intra_op_parallelism_threads(task["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(task["threads"])
    cv2.setNumThreads(task["threads"])
    keras.utils.set_random_seed(0)
    given = np.load(folder / "weights.npz")
    weights = []
    for i in range(len(given) // 2):
        weights += [given[f"w{i}"].transpose(2, 3, 1, 0), given[f"b{i}"]]
    model = build(task, weights)
    variables = [*model.variables, *model.optimizer.variables]
    start = [variable.numpy() for variable in variables]
    size = (task["width"], task["height"])
    train, val = read(task["train"], size), read(task["val"], size)
    feeds = {
        "files": {
            "x": Pictures(task["train"], task, True),
            "validation_data": Pictures(task["val"], task, False),
        },
        "memory": {
            "x": train,
            "y": train,
            "batch_size": task["batch_size"],
            "validation_data": (val, val),
            "validation_batch_size": task["batch_size"],
        },
    }
    first = float(model.evaluate(val, val, task["batch_size"], verbose=0))
    for feed in feeds.values():
        model.fit(**feed, verbose=0)
    answer(
        parameters=model.count_params(), val_loss=first, version=f"{keras.__version__} on {tf.__version__}"
    )
    for line in sys.stdin:
        feed, epochs = line.split()
        for variable, value in zip(variables, start, strict=True):
            variable.assign(value)
        begin, before = time.perf_counter(), time.process_time()
        history = model.fit(**feeds[feed], epochs=int(epochs), verbose=0).history
        seconds, spent = time.perf_counter() - begin, time.process_time() - before
        answer(seconds=seconds, spent=spent, **history)


if __name__ == "__main__":
    main()
