"""The threshold with the best F1 in hindsight, for comparison only."""

import numpy as np
from sklearn.metrics import precision_recall_curve


def oracle(anomalous: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """The highest F1 of all thresholds on these labels.

    This is an upper bound, not a result: the threshold is chosen with the labels that it is evaluated on.

    Args:
        anomalous: labels of the frames, bool [T], not all False.
        scores: scores of the frames, float [T].

    Returns:
        F1, and the threshold; frames with a higher score are alarmed.
    """
    precision, recall, thresholds = precision_recall_curve(anomalous, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)  # avoids 0 / 0
    best = int(np.argmax(f1[:-1]))
    # scikit-learn also alarms frames with exactly the threshold as score, this project does not
    return float(f1[best]), float(np.nextafter(thresholds[best], -np.inf))
