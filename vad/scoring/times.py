"""How times within clips are written for people, in tables, logs, pictures and pages alike."""


def clip_time(seconds: float) -> str:
    """A time within a clip: `1:02.5`, or `1:01:02.5` from an hour on.

    Args:
        seconds: since its start, 0 or more; rounded to tenths.
    """
    whole, tenth = divmod(round(10 * seconds), 10)
    hours, rest = divmod(whole, 3600)
    begin = f"{hours}:{rest // 60:02d}" if hours else f"{rest // 60}"
    return f"{begin}:{rest % 60:02d}.{tenth}"
