"""The packages of vad/ in the order of the data: a package may import only packages before it."""

ORDER = [
    *(
        "boxes",
        "durations",
        "store",
        "pipeline",
        "stream",
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
        "live",
        "export",
        "drawing",
        "evaluation",
        "validation",
        "synthetic",
        "check",
        "parameters",
        "experiments",
        "recipe",
    ),
]
