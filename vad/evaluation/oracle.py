"""The best threshold in hindsight, for comparison alone."""

import numpy as np


def oracle(anomalous: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """(best F1 that a threshold can have on these labels, that threshold). Needs anomalous frames.

    For comparison alone: it is chosen by the test labels that it is then judged by.
    """
    from sklearn.metrics import precision_recall_curve  # here, since calibrating needs none of it

    precision, recall, thresholds = precision_recall_curve(anomalous, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(np.argmax(f1[:-1]))
    # scikit-learn alarms what is at the threshold, we what is above it
    return float(f1[best]), float(np.nextafter(thresholds[best], -np.inf))
