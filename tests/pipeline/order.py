"""The packages of vad/ in the order of the data: one may import those before it, never those after it."""

ORDER = [
    *(
        "boxes",
        "store",
        "pipeline",
        "footage",
        "layouts",
        "flow",
        "detection",
        "regions",
        "windows",
        "resize",
    ),
    *(
        "models",
        "training",
        "branches",
        "scoring",
        "drawing",
        "evaluation",
        "synthetic",
        "check",
        "parameters",
        "recipe",
    ),
]
