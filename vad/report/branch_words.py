"""What branches mean, in words for people who do not know them."""

MEANINGS = {
    "reconstruction": "Looks that the autoencoder reproduces badly, because normal footage has none like them.",
    "prediction": "What happens next: the autoencoder predicts the next frame from those before, and errs.",
    "translation": "Movement that does not go with looks: the autoencoder derives movement from looks, and errs.",
    "appearance": "How somebody or something looks: posture, outline, texture. The autoencoder reproduces it badly.",
    "flow": "How the parts of a body or thing move, such as arms and legs. The autoencoder reproduces it badly.",
    "classes": "What it is: the detector sees another kind of thing than in normal footage, such as a bicycle.",
    "motion": "How fast, and in which direction, somebody or something moves, for its place in the picture.",
    "shape": "How wide and how tall somebody or something is for its place: people who lie are wide and low.",
    "speed": "How fast something moves at all, in body heights per second. Nothing is learned for it.",
}


def meaning(branch: str) -> str:
    """What a branch measures, in a sentence; "" if it is unknown, as in results of other versions.

    Args:
        branch: its name.
    """
    return MEANINGS.get(branch, "")
