"""Tests of the animation: its data, its frames, and the files as read by ffprobe and Pillow."""

import json
import shutil
import stat
import subprocess

import h5py
import numpy as np
import pytest
from PIL import Image
from synthetic import write_results

from espectra_report import animation
from espectra_report.eigenvalue_axis import resolved
from espectra_report.results import ReportError, comparisons, open_run

needs_ffmpeg = pytest.mark.skipif(not (shutil.which("ffmpeg") and shutil.which("ffprobe")),
                                  reason="no ffmpeg and ffprobe")


def comparison_of(path, snapshots, recorded=None, replicas=1, spectra=True):
    networks = [{"name": f"linear_2-2-1_{activation}", "widths": (2, 2, 1), "activation": activation, "replicas": replicas, "seed": seed,
                 "epochs": tuple(range(0, 10 * snapshots, 10)), "recorded": recorded if activation == "relu" else None, "spectra": spectra}
                for seed, activation in enumerate(("esp", "relu"))]
    return comparisons([open_run(write_results(path / "results.h5", networks))])[0]


def durations(path):
    """Returns the milliseconds of each frame of a GIF."""
    with Image.open(path) as image:
        times = []
        for frame in range(image.n_frames):
            image.seek(frame)
            times.append(image.info["duration"])
        return times


# --- data

def test_frames_are_the_snapshots(sweep):
    for comparison in comparisons([open_run(sweep)]):
        frames = animation.frames(comparison)
        assert frames.epochs.tolist() == [0, 10, 20, 40, 60]
        for network, fractions, cost in zip(comparison.networks, frames.fractions, frames.cost):
            pooled = np.concatenate([resolved(network, replica) for replica in range(6)], axis=1)
            np.testing.assert_allclose(fractions, frames.axis.counts(pooled) / pooled.shape[1], rtol=1e-15)
            np.testing.assert_allclose(fractions.sum(axis=1), 1, rtol=1e-14)
            np.testing.assert_array_equal(cost, np.median(network.group["cost"][()], axis=0))


def test_many_snapshots_are_thinned_out_evenly(tmp_path):
    frames = animation.frames(comparison_of(tmp_path, 301))
    assert len(frames.epochs) == 150
    assert (frames.epochs[0], frames.epochs[-1]) == (0, 3000)
    assert set(np.diff(frames.epochs)) == {20, 30}
    assert all(len(fractions) == 150 for fractions in frames.fractions)
    assert len(animation.frames(comparison_of(tmp_path / "less", 150)).epochs) == 150


def test_missing_records_are_nan(tmp_path):
    frames = animation.frames(comparison_of(tmp_path, 4, recorded=2))
    esp, relu = frames.fractions
    assert not np.isnan(esp).any()
    assert np.isnan(relu).all(axis=1).tolist() == [False, False, True, True]
    assert np.isnan(frames.cost[1]).tolist() == [False, False, True, True]


@pytest.mark.parametrize("snapshots, spectra", [(1, True), (3, False)])
def test_nothing_to_animate(tmp_path, snapshots, spectra):
    comparison = comparison_of(tmp_path, snapshots, spectra=spectra)
    assert animation.frames(comparison) is None
    assert animation.animate(comparison, tmp_path, "film") == {}
    assert [path.name for path in tmp_path.iterdir()] == ["results.h5"]


# --- a frame

def test_a_frame_shows_its_snapshot(sweep):
    comparison = comparisons([open_run(sweep)])[0]
    film = animation.Film(animation.frames(comparison))
    assert len(film) == 5
    for frame in (3, 1):
        film.show(frame)
        assert film.epoch.get_text() == f"epoch {film.data.epochs[frame]}"
        for n, network in enumerate(comparison.networks):
            fractions = film.data.fractions[n][frame]
            shown = film.outlines[n].get_data().values.copy()
            assert np.isnan(shown[film.data.axis.zero])
            shown[film.data.axis.zero] = film.bars[n].get_height()
            np.testing.assert_array_equal(shown, fractions)
            assert film.bars[n].get_height() == pytest.approx(network.series("gamma")[:, frame].mean(), rel=1e-13)
            assert film.points[n].get_xydata().tolist() == [[film.data.epochs[frame], np.median(network.series("cost")[:, frame])]]


def test_pixels_depend_on_the_frame_alone(single):
    film = animation.Film(animation.frames(comparisons([open_run(single)])[0]))
    first = film.pixels(0).copy()
    assert first.shape == (450, 720, 3)
    assert (film.pixels(4) != first).any()
    np.testing.assert_array_equal(film.pixels(0), first)  # no trace of other frames


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_spectra_of_one_kind(tmp_path, value, recwarn):
    comparison_of(tmp_path, 2).networks[0].run.close()
    with h5py.File(tmp_path / "results.h5", "r+") as file:
        for group in file.values():
            group["eigenvalues"][...] = value
            group["cost"][...] = 0
    film = animation.Film(animation.frames(comparisons([open_run(tmp_path / "results.h5")])[0]))
    film.pixels(1)
    assert film.bars[0].get_height() == (1 if value == 0 else 0)
    assert not recwarn.list


# --- files

@needs_ffmpeg
def test_films_have_all_frames_and_the_last_is_held(single, tmp_path):
    comparison = comparisons([open_run(single)])[0]
    seen = []
    paths = animation.animate(comparison, tmp_path, "spectrum 0.01", progress=lambda done, of: seen.append((done, of)))
    assert paths == {"mp4": tmp_path / "spectrum 0.01.mp4", "gif": tmp_path / "spectrum 0.01.gif"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spectrum 0.01.gif", "spectrum 0.01.mp4"]
    assert seen == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    words = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json", paths["mp4"]]
    probe = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    (stream,) = probe["streams"]
    assert (stream["codec_name"], stream["pix_fmt"], stream["width"], stream["height"]) == ("h264", "yuv420p", 720, 450)
    assert stream["nb_read_frames"] == "14"  # five, the last ten times
    assert float(probe["format"]["duration"]) == pytest.approx(14 * 0.15, abs=0.002)
    data = paths["mp4"].read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # it plays while it loads
    assert durations(paths["gif"]) == [150, 150, 150, 150, 1500]


def test_gif_shows_the_frames(single, tmp_path):
    comparison = comparisons([open_run(single)])[0]
    paths = animation.animate(comparison, tmp_path, "film", formats=("gif",))
    film = animation.Film(animation.frames(comparison))
    with Image.open(paths["gif"]) as image:
        for frame in (0, 2, 4):
            image.seek(frame)
            difference = np.abs(np.asarray(image.convert("RGB")).astype(int) - film.pixels(frame))
            assert difference.mean() < 1  # of 255: one palette for all frames
        assert image.convert("RGB").getpixel((3, 3)) == (255, 255, 255)


def test_sixty_frames_are_a_small_gif(tmp_path):
    path = animation.animate(comparison_of(tmp_path, 60), tmp_path, "film", formats=("gif",))["gif"]
    assert len(durations(path)) == 60
    assert path.stat().st_size < 3e6


def test_same_bytes_for_the_same_data(single, tmp_path):
    comparison = comparisons([open_run(single)])[0]
    for name in ("one", "two"):
        animation.animate(comparison, tmp_path, name)
    for form in animation.WRITERS:
        if (tmp_path / f"one.{form}").exists():
            assert (tmp_path / f"one.{form}").read_bytes() == (tmp_path / f"two.{form}").read_bytes()


def test_without_ffmpeg_there_is_a_gif(single, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    comparison = comparisons([open_run(single)])[0]
    assert animation.animate(comparison, tmp_path, "film") == {"gif": tmp_path / "film.gif"}
    assert animation.animate(comparison, tmp_path, "other", formats=("mp4",)) == {}
    assert [path.name for path in tmp_path.iterdir()] == ["film.gif"]


@pytest.mark.parametrize("script, reason", [("echo first; echo 'no such codec' >&2; echo >&2; exit 3", "no such codec"),
                                            ("cat > /dev/null; echo 'disk full' >&2; exit 1", "disk full"),
                                            ("exit 4", "exit status 4"),
                                            ("exit 0", "ffmpeg ended before the last frame")])
def test_an_ffmpeg_that_fails(single, tmp_path, monkeypatch, script, reason):
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "film.gif").write_text("an earlier one")
    with pytest.raises(ReportError, match=f"film.mp4: .*{reason}$"):
        animation.animate(comparisons([open_run(single)])[0], folder, "film")
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("film.gif", "an earlier one")]


@needs_ffmpeg
def test_an_interruption_leaves_nothing(single, tmp_path):
    def interrupt(done, _):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        animation.animate(comparisons([open_run(single)])[0], tmp_path, "film", progress=interrupt)
    assert not list(tmp_path.iterdir())
