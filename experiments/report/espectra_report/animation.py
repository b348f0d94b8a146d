"""Animation of the eigenvalue distribution during training: MP4 by ffmpeg, GIF by Pillow. Both get the same
frames, each drawn once."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from espectra_report.eigenvalue_axis import EigenvalueAxis, pooled_fractions, recorded_epochs, with_spectra
from espectra_report.figures.spectra import draw_fractions, fraction_floor, in_corner, legend, outside_slot, percent
from espectra_report.results import ReportError
from espectra_report.style import look

MOST_FRAMES = 150
FRAME_SECONDS = Fraction(3, 20)
LAST_HELD = 10  # the last frame is shown as long as this many others
SIZE, DPI = (6.0, 3.75), 120  # 720 × 450 pixels, even as H.264 with 4:2:0 colours requires


@dataclass(frozen=True)
class Frames:
    """Data of F frames; lists have one entry per network."""

    networks: list
    epochs: np.ndarray  # (F)
    axis: EigenvalueAxis
    fractions: list  # arrays (F, bins): all replicas pooled; NaN where a network has no record
    cost: list  # arrays (F): median over the replicas; NaN where there is no record


def frames(comparison):
    """Returns the frames at the recorded epochs, up to MOST_FRAMES of them; None if there are fewer than
    two."""
    networks = with_spectra(comparison)
    epochs = recorded_epochs(networks) if networks else []
    if len(epochs) < 2:
        return None
    if len(epochs) > MOST_FRAMES:
        epochs = epochs[np.linspace(0, len(epochs) - 1, MOST_FRAMES).round().astype(int)]
    axis, fractions = pooled_fractions(networks, epochs)
    cost = []
    for network in networks:
        of_epoch = dict(zip(network.epoch.tolist(), network.statistics("cost")[:, 0]))
        cost.append(np.array([of_epoch.get(epoch, np.nan) for epoch in epochs.tolist()]))
    return Frames(networks, epochs, axis, fractions, cost)


class Film:
    """The figure of all frames: artists that change are drawn over a background that is drawn once."""

    def __init__(self, data):
        self.data = data
        figure = Figure(figsize=SIZE, dpi=DPI)
        self.canvas = FigureCanvasAgg(figure)
        spectrum, cost = figure.subplots(1, 2, width_ratios=[2.6, 1])
        self.outlines, self.bars, self.points, self.labels = [], [], [], []
        for n, network in enumerate(data.networks):
            style = look(network.activation)
            outline, bar = draw_fractions(spectrum, data.axis, data.fractions[n][0], style, n, len(data.networks))
            self.outlines.append(outline)
            self.bars.append(bar)
            series = network.statistics("cost")[:, 0]
            there = ~np.isnan(series)
            cost.plot(network.epoch[there], series[there], color=style.colour, linestyle=style.line, linewidth=1)
            self.points += cost.plot([], [], style.marker, color=style.colour, markersize=5)
            self.labels.append(in_corner(spectrum, 1 + n, "", style.colour, 7))
        spectrum.set(yscale="log", ylim=(fraction_floor(data.fractions), 1.5))
        spectrum.set(xlabel="eigenvalue λ", ylabel="fraction of eigenvalues per bin")
        data.axis.apply(spectrum.xaxis, most=7)
        in_corner(spectrum, 0, "zero:", "black", 7)
        if any((values[~np.isnan(values)] > 0).any() for values in data.cost):
            cost.set_yscale("log")
        cost.set(xlabel="epoch", title="cost")
        cost.locator_params(axis="x", nbins=4)
        self.epoch = spectrum.set_title(f"epoch {data.epochs[-1]}", fontsize=9)
        legend(figure, data.networks)
        self.moving = [*self.outlines, *self.bars, *self.points, *self.labels, self.epoch]
        for artist in self.moving:
            artist.set_animated(True)
        self.canvas.draw()
        figure.set_layout_engine("none")
        self.figure = figure
        self.background = self.canvas.copy_from_bbox(figure.bbox)

    def __len__(self):
        return len(self.data.epochs)

    def show(self, frame):
        """Sets the data of a frame without drawing it."""
        data = self.data
        for n, network in enumerate(data.networks):
            fractions = data.fractions[n][frame]
            zeros = fractions[data.axis.zero]
            self.outlines[n].set_data(outside_slot(data.axis, fractions))
            self.bars[n].set_height(zeros)
            self.points[n].set_data([data.epochs[frame]], [data.cost[n][frame]])
            self.labels[n].set_text(f"{look(network.activation).name} {percent(zeros)}" if zeros >= 0 else "")
        self.epoch.set_text(f"epoch {data.epochs[frame]}")

    def pixels(self, frame):
        """Returns the pixels of a frame, (450, 720, 3) bytes."""
        self.show(frame)
        self.canvas.restore_region(self.background)
        for artist in self.moving:
            self.figure.draw_artist(artist)
        return np.ascontiguousarray(np.asarray(self.canvas.buffer_rgba())[..., :3])


class Mp4:
    """An H.264 file with a fixed frame rate, written by ffmpeg, which receives the frames through a pipe."""

    def __init__(self, path, film):
        self.path, self.partial = path, partial(path)
        self.errors = tempfile.TemporaryFile()
        height, width, _ = film.pixels(0).shape
        words = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y",
                 "-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{width}x{height}",
                 "-framerate", str(1 / FRAME_SECONDS), "-i", "pipe:0", "-c:v", "libx264", "-preset", "veryfast", "-tune", "animation",
                 "-crf", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-bitexact", str(self.partial)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self.errors)

    def add(self, pixels, last):
        try:
            for _ in range(LAST_HELD if last else 1):
                self.process.stdin.write(pixels.data)
        except BrokenPipeError:
            self.close()  # raises the message of ffmpeg, if there is one
            raise ReportError(f"{self.path}: ffmpeg ended before the last frame") from None

    def close(self):
        """Waits until the file is complete. Raises ReportError with the last message of ffmpeg if that
        failed."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        if self.process.wait():
            self.errors.seek(0)
            lines = self.errors.read().decode(errors="replace").strip().splitlines() or [f"exit status {self.process.returncode}"]
            raise ReportError(f"{self.path}: ffmpeg failed: {lines[-1].strip()}")
        self.errors.close()

    def abandon(self):
        self.process.kill()
        self.process.communicate()
        self.errors.close()


class Gif:
    """A GIF with one palette for all frames, made from the colours of the first and the last."""

    def __init__(self, path, film):
        self.partial, self.images = partial(path), []
        ends = np.concatenate([film.pixels(0), film.pixels(len(film) - 1)])
        self.palette = Image.fromarray(ends).quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)

    def add(self, pixels, last):
        self.images.append(Image.fromarray(pixels).quantize(palette=self.palette, dither=Image.Dither.NONE))

    def close(self):
        duration = int(1000 * FRAME_SECONDS)
        durations = [duration] * (len(self.images) - 1) + [duration * LAST_HELD]
        self.images[0].save(self.partial, "GIF", save_all=True, append_images=self.images[1:], duration=durations, loop=0)

    def abandon(self):
        self.images.clear()


WRITERS = {"mp4": Mp4, "gif": Gif}


def partial(path):
    """Returns the name of a file while it is incomplete."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def animate(comparison, folder, name, formats=tuple(WRITERS), progress=None):
    """Writes folder/name.mp4 and folder/name.gif and returns {format: path}. Returns {} for fewer than two
    snapshots; writes no MP4 without ffmpeg.

    progress(frames done, frames) is called after each frame. A failure leaves no files; one of ffmpeg raises
    ReportError.
    """
    data = frames(comparison)
    formats = [form for form in formats if form != "mp4" or shutil.which("ffmpeg")]
    if data is None or not formats:
        return {}
    film = Film(data)
    paths = {form: folder / f"{name}.{form}" for form in formats}
    writers = []
    try:
        for form, path in paths.items():
            writers.append(WRITERS[form](path, film))
        for frame in range(len(film)):
            pixels = film.pixels(frame)
            for writer in writers:
                writer.add(pixels, frame == len(film) - 1)
            if progress:
                progress(frame + 1, len(film))
        for writer in writers:
            writer.close()
        for path in paths.values():
            partial(path).replace(path)
    except BaseException:
        for writer in writers:
            writer.abandon()
        for path in paths.values():
            partial(path).unlink(missing_ok=True)
        raise
    return paths
