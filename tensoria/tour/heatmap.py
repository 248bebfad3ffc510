"""A picture of the copying scores: one row a layer, one column a head.

The scores lie between -1 and 1, so the colours diverge from white at 0. The picture is drawn without a display, into
memory first and then under a temporary name, which is moved at the end: there is never half a picture.
"""

from __future__ import annotations

import importlib.util
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tensoria.errors import TensoriaError
from tensoria.tour.weights import INSTALL

__all__ = ["require_drawing", "save_heatmap", "writable_folder"]


def require_drawing() -> None:
    """Raise unless pictures can be drawn, so that nobody waits for one in vain.

    Raises:
        TensoriaError: the plotting package is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise TensoriaError(
            "the tour draws a picture with the package matplotlib, which is not installed.",
            legal=f"{INSTALL}, or tensoria tour --no-picture",
        )


def writable_folder(folder: Path) -> Path:
    """The folder, made if it is not there.

    Raises:
        TensoriaError: it can not be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise TensoriaError(f"{folder} is no folder that can be written to: {error}", legal="--out FOLDER") from error


def save_heatmap(scores: npt.NDArray[Any], path: Path, title: str) -> Path:
    """Draw scores between -1 and 1 as a heat map.

    Args:
        scores: shape (layers, heads).
        path: the PNG file to write.
        title: what stands above it.

    Returns:
        The path.

    Raises:
        TensoriaError: the file can not be written.
    """
    picture = _drawn(scores, title)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.stem, suffix=".part", delete=False) as file:
            temporary = file.name
            file.write(picture)
        os.chmod(temporary, 0o644)  # temporary files are the owner's alone
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise TensoriaError(f"the picture {path} can not be written: {error}", legal="--out FOLDER") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return path


def _drawn(scores: npt.NDArray[Any], title: str) -> bytes:
    # The classes themselves instead of pyplot: no global figure, and no window system is looked for.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layers, heads = scores.shape
    figure = Figure(figsize=(0.75 * heads + 2, 0.6 * layers + 1.6), layout="constrained", dpi=120)
    canvas = FigureCanvasAgg(figure)
    plot = figure.add_subplot()
    image = plot.imshow(scores, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    plot.set_title(title)
    plot.set_xlabel("head")
    plot.set_ylabel("layer")
    plot.set_xticks(range(heads))
    plot.set_yticks(range(layers))
    for layer, number in np.ndindex(layers, heads):
        score = float(scores[layer, number])
        colour = "white" if abs(score) > 0.6 else "black"
        plot.text(number, layer, f"{score:+.2f}", ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(image, ax=plot, label="Re(sum of eigenvalues) / sum of absolute values")
    into = io.BytesIO()
    canvas.print_figure(into, format="png")
    return into.getvalue()
