"""Pictures: they decode, have the size they should, and show the data that they are given."""

import io
import itertools
import math
import warnings
from concurrent.futures import ThreadPoolExecutor

import matplotlib.image
import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from components import plots

HISTORY = [
    {
        "epoch": epoch,
        "loss": 2 / epoch,
        "accuracy": 1 - 1 / epoch,
        "eval_loss": 2.5 / epoch,
        "eval_accuracy": 0.9 - 0.9 / epoch,
        "learning_rate": 1e-3 / epoch,
    }
    for epoch in range(1, 8)
]


def pixels(png):
    """Decodes a PNG file: float [height, width, 3] in [0, 1]."""
    assert png.startswith(b"\x89PNG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return matplotlib.image.imread(io.BytesIO(png), format="png")[..., :3]


def has_color(image, color):
    """Whether pixels of a color, hexadecimal, are there."""
    wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return int((np.abs(image - wanted).max(axis=-1) < 0.02).sum()) > 20


def names(count):
    return [f"ClassOfClips{i:03d}" for i in range(count)]


def unit(rng, count, dim):
    vectors = rng.normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def frames(*shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 8, 8, 3), dtype=np.uint8)


def draw_examples(hits):
    q, k = hits.shape
    return plots.example_neighbors(frames(q), frames(q, k), names(q), [names(k)] * q, hits)


def test_learning_curves_show_every_series():
    """Another loss, accuracy or learning rate is another picture, of the same size."""
    png = plots.learning_curves(HISTORY)
    image = pixels(png)
    assert image.shape[1] == pytest.approx(1400, rel=0.05)
    assert image.shape[0] == pytest.approx(420, rel=0.05)
    for key in HISTORY[0].keys() - {"epoch"}:
        changed = [*HISTORY[:-1], {**HISTORY[-1], key: HISTORY[-1][key] * 0.7}]
        assert plots.learning_curves(changed) != png


def test_learning_curves_with_gaps():
    """Epochs may lack figures, and a loss may be no number: what is known is drawn."""
    partly = [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": math.nan, "eval_loss": None}]
    one_loss = [{"epoch": 1, "loss": 2.0}, {"epoch": 2}]
    assert plots.learning_curves(partly) == plots.learning_curves(one_loss)
    assert plots.learning_curves([{"epoch": 1}, {"epoch": 2}]) != plots.learning_curves(one_loss)
    assert has_color(pixels(plots.learning_curves(HISTORY[:1])), "#0072B2")


@pytest.mark.parametrize("count", [1, 2, 10, 101])
def test_confusion_grows_with_the_classes(count):
    """Each class has room for its name; a wrong answer is another picture."""
    true = names(count) * 2
    png = plots.confusion_matrix(true, true, "All right")
    image = pixels(png)
    assert min(image.shape[:2]) > (14 if count > 20 else 45) * count
    assert max(image.shape[:2]) < 2200
    assert plots.confusion_matrix(true, [*true[:-1], true[0]], "All right") != png or count == 1


def test_confusion_is_not_symmetric():
    """A taken for B is not B taken for A, and shares are those of the true class."""
    one = plots.confusion_matrix(["A", "A", "B"], ["A", "B", "B"], "t")
    other = plots.confusion_matrix(["A", "B", "B"], ["A", "A", "B"], "t")
    assert one != other
    # Two of a class's two clips are as dark as one of one.
    darkest = [
        pixels(plots.confusion_matrix(true, true, "t")).sum(axis=-1).min()
        for true in (["A", "A", "B"], ["A", "B"])
    ]
    assert darkest[0] == darkest[1]


@pytest.mark.parametrize("count", [1, 10, 101])
def test_recall_by_class_grows_with_the_classes(count):
    """Each class has room for its name and bar."""
    recall = {name: i / count for i, name in enumerate(names(count))}
    image = pixels(plots.recall_by_class(recall, dict.fromkeys(recall, 7)))
    assert 16 * count < image.shape[0] < 200 + 32 * count


def test_recall_by_class_shows_recall_and_counts():
    """Another recall or another count is another picture; another order of the classes is not."""
    recall = {name: i / 5 for i, name in enumerate(names(5))}
    counts = dict.fromkeys(recall, 7)
    png = plots.recall_by_class(recall, counts)
    last = names(5)[-1]
    assert plots.recall_by_class({**recall, last: 0.33}, counts) != png
    assert plots.recall_by_class(recall, {**counts, last: 8}) != png
    shuffled = {name: recall[name] for name in reversed(recall)}
    assert plots.recall_by_class(shuffled, counts) == png


@pytest.mark.parametrize(("count", "dim"), [(1, 4), (2, 1), (15, 3), (16, 1), (16, 4), (120, 8)])
def test_embedding_map_of_few_and_many(count, dim):
    """From one clip in one dimension on there is a map, the same for the same seed."""
    vectors = unit(np.random.default_rng(count), count, dim)
    classes = [f"C{i % 3}" for i in range(count)]
    png = plots.embedding_map(vectors, classes, 0)
    assert pixels(png).shape[0] == pytest.approx(900, rel=0.1)
    assert png == plots.embedding_map(vectors, classes, 0)
    if count > 1:
        assert png != plots.embedding_map(vectors, ["C0"] * count, 0)


def test_embedding_map_of_a_collapsed_model():
    """Where every clip has the same vector, all are drawn in one place, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png = plots.embedding_map(np.ones((40, 4), np.float32) / 2, ["A", "B"] * 20, 0)
    assert (pixels(png) < 0.9).any()


def test_embedding_map_draws_a_sample():
    """Of more clips than a map can show, the seed draws which."""
    count = plots.MAX_MAP_CLIPS + 200
    vectors = np.zeros((count, 3), np.float32)  # quick: in one place, and so not by t-SNE
    classes = [f"C{i}" if i < 50 else "many" for i in range(count)]
    pictures = [plots.embedding_map(vectors, classes, seed) for seed in (0, 0, 1)]
    assert pictures[0] == pictures[1] != pictures[2]


def test_projection_keeps_neighbors():
    """t-SNE's places have the neighbors of the vectors, by scikit-learn's trustworthiness."""
    rng = np.random.default_rng(0)
    centers = unit(rng, 6, 16)
    vectors = np.repeat(centers, 15, axis=0) + 0.1 * rng.normal(size=(90, 16)).astype(np.float32)
    places, method = plots.project(vectors, 0)
    assert method == "t-SNE"
    assert trustworthiness(vectors, places, metric="cosine") > 0.9
    near = np.argsort(np.linalg.norm(places[:, np.newaxis] - places, axis=-1), axis=1)[:, 1]
    assert (near // 15 == np.arange(90) // 15).mean() > 0.95


def test_projection_of_few_is_principal_components():
    """Few clips keep the distances along their two main directions."""
    vectors = unit(np.random.default_rng(0), 9, 5)
    places, method = plots.project(vectors, 0)
    assert method == "principal components"
    centered = vectors - vectors.mean(axis=0)
    variances = np.linalg.eigvalsh(centered.T @ centered)[::-1][:2]
    np.testing.assert_allclose((places**2).sum(axis=0), variances, rtol=1e-5)


def test_looks_of_classes_differ():
    """A hundred and one classes have as many pairs of color and shape."""
    looks = zip(itertools.cycle(plots.COLORS), itertools.cycle(plots.MARKERS), strict=False)
    assert len(set(itertools.islice(looks, 101))) == 101


def test_neighbors_are_marked():
    """Right ones have blue frames, wrong ones vermillion ones."""
    right, wrong = (pixels(draw_examples(np.full((2, 3), hit))) for hit in (True, False))
    assert right.shape == wrong.shape
    assert has_color(right, "#0072B2") and not has_color(right, "#D55E00")
    assert has_color(wrong, "#D55E00") and not has_color(wrong, "#0072B2")
    mixed = np.array([[True, False, True], [True, True, True]])
    assert draw_examples(mixed) != draw_examples(mixed[::-1])


def test_neighbors_show_the_frames():
    """The picture changes with a neighbor's pixels, and grows with queries and neighbors."""
    hits = np.ones((1, 2), bool)
    dark = np.zeros((1, 2, 8, 8, 3), np.uint8)
    args = frames(1), ["A"], [["A", "A"]], hits
    one = plots.example_neighbors(args[0], dark, *args[1:])
    assert one != plots.example_neighbors(args[0], dark + 200, *args[1:])
    height, width = pixels(one).shape[:2]
    more = pixels(draw_examples(np.ones((3, 5), bool)))
    assert more.shape[0] > 2 * height
    assert more.shape[1] > 1.5 * width


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [r"$\frac{", "_hidden", "a$b$c", "x" * 300, "", "100%"])
def test_odd_names_are_shown_as_they_are(name):
    """Names that matplotlib would read as mathematics or hide do not stop a picture."""
    other = "plain"
    pixels(plots.confusion_matrix([name, other], [other, name], name))
    pixels(plots.recall_by_class({name: 0.5, other: 1.0}, {name: 2, other: 2}))
    pixels(plots.embedding_map(np.eye(4, dtype=np.float32), [name, other] * 2, 0))
    pixels(plots.example_neighbors(frames(1), frames(1, 1), [name], [[name]], np.ones((1, 1))))


def test_threads_do_not_disturb_each_other():
    """Pictures drawn in several threads at once are those drawn one after the other."""
    hits = [np.array([[i % 2 == 0, i % 3 == 0]]) for i in range(6)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(draw_examples, hits))
    assert together == [draw_examples(each) for each in hits]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plots.learning_curves([]), "history: expected at least one epoch"),
        (lambda: plots.confusion_matrix([], [], "t"), "predicted: expected some; got 0"),
        (lambda: plots.confusion_matrix(["A"], [], "t"), "predicted: expected 1; got 0"),
        (lambda: plots.recall_by_class({}, {}), "counts: expected classes"),
        (lambda: plots.recall_by_class({"A": 1.0}, {"B": 1}), r"expected classes \['A'\]"),
        (lambda: plots.embedding_map(np.ones((2, 3)), ["A"], 0), r"vectors: expected shape \(1, d"),
        (lambda: plots.embedding_map(np.ones((0, 3)), [], 0), "vectors: expected shape"),
        (lambda: draw_examples(np.ones((2, 0), bool)), "hits: expected shape"),
        (
            lambda: plots.example_neighbors(
                frames(2), frames(1, 2), ["A"], [["A"] * 2], np.ones((1, 2))
            ),
            "queries, neighbors: expected",
        ),
        (
            lambda: plots.example_neighbors(
                frames(1), frames(1, 2), ["A"], [["A"]], np.ones((1, 2))
            ),
            "titles: expected",
        ),
    ],
)
def test_bad_data_are_refused(draw, message):
    """Data that are empty or do not fit are refused by name."""
    with pytest.raises(ValueError, match=message):
        draw()
