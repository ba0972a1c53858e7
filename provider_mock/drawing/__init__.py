"""Pictures of deliveries as SVG text, from plain values; whoever shows them adds `drawing.css` to the page."""

from importlib.resources import files


def style() -> str:
    """Return the rules that give the pictures their colours, in the light and in the dark."""
    return files(__name__).joinpath("drawing.css").read_text(encoding="utf-8")
