"""What the branches measure, in plain words; a test holds the list to the branches that there are."""

_OF_FRAMES = "is unlike what the autoencoder learned from normal footage."
MEANINGS = {
    "reconstruction": f"How it looks {_OF_FRAMES}",
    "prediction": "The next frame is not what the autoencoder predicts from the frames before it.",
    "translation": "The movement is not what the autoencoder expects from how it looks.",
    "appearance": f"How somebody or something looks (posture, outline, texture) {_OF_FRAMES}",
    "flow": f"How the parts of a body or thing move, such as arms and legs, {_OF_FRAMES}",
    "classes": "The detector sees other kinds of things than in normal footage, such as a bicycle.",
    "motion": "Somebody or something moves faster, slower or elsewhere than is normal at that place.",
    "shape": "Somebody or something is wider, narrower, taller or lower than is normal at that place, such as "
    "a person who lies.",
    "speed": "Something moves fast, in body heights per second. Nothing is learned for this branch.",
}


def meaning(branch: str) -> str:
    """What a branch measures, in a sentence; "" if that is not known.

    Args:
        branch: its name.
    """
    return MEANINGS.get(branch, "")
