"""The best threshold in hindsight, for comparison only."""

import numpy as np
from sklearn.metrics import precision_recall_curve


def oracle(anomalous: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """The highest F1 that any threshold reaches on these labels.

    An upper bound, not a result: the threshold is chosen by the test labels that it is then judged by.

    Args:
        anomalous: bool [T], at least one of them True.
        scores: float [T].

    Returns:
        (F1, the threshold); frames above the threshold are alarmed.
    """
    precision, recall, thresholds = precision_recall_curve(anomalous, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)  # avoids 0 / 0
    best = int(np.argmax(f1[:-1]))
    # scikit-learn alarms scores at the threshold, this project only those above it
    return float(f1[best]), float(np.nextafter(thresholds[best], -np.inf))
