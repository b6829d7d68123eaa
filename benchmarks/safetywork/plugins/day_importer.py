"""An import-detect extension for both programs: the day is the acquisition; "poison" raises."""

try:
    from alpenhorn.extensions import ImportDetectExtension
except ImportError:  # 2.0.0rc2 calls the older hook, `register_extension`
    ImportDetectExtension = None


def detect(path, node):
    """Take ``YYYY/MM/DD/name``."""
    if "poison" in path.name:
        raise ValueError("this extension has a bug")
    parts = path.parts
    return ("/".join(parts[:3]) if len(parts) == 4 else None), None


def register_extensions():
    """Hand the extension to ours."""
    return [ImportDetectExtension("DayImporter", "1", detect=detect)]


def register_extension():
    """Hand the extension to the public program."""
    return {"import-detect": detect}
