"""Beginning with the weights of a published model."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from components.trainer import model, warm_start, weights


def make_network(seed: int, num_classes: int = 3, image_size: int = 32) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return model.build_network(2, image_size, num_classes)


def publish(folder: Path, network: keras.Model, class_names: list[str]) -> str:
    """Writes what warm start reads of a Champion artifact; returns the SavedModel's folder."""
    base = folder / "Format-Serving"
    for file in (base / warm_start.WEIGHTS_FILE, base / "assets" / "class_name"):
        file.parent.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"version": 7}))
    (base / warm_start.WEIGHTS_FILE).write_bytes(weights.pack(weights.to_arrays(network)))
    (base / "assets" / "class_name").write_text("".join(f"{name}\n" for name in class_names))
    return str(base)


def same(one: keras.Model, other: keras.Model) -> dict[str, bool]:
    """Returns which layers' weights agree."""
    arrays = weights.to_arrays(other)
    agree: dict[str, bool] = {}
    for path, array in weights.to_arrays(one).items():
        layer = path.split("/")[0]
        equal = array.shape == arrays[path].shape and np.array_equal(array, arrays[path])
        agree[layer] = agree.get(layer, True) and equal
    return agree


def test_all_weights_are_taken_over_where_the_classes_are_the_same(tmp_path):
    """Body, running statistics and head."""
    published = make_network(1)
    for weight in published.non_trainable_weights:
        weight.assign(weight + 0.5)
    base = publish(tmp_path, published, ["Fall", "Rise", "Grow"])
    network = make_network(2)
    said = warm_start.begin(network, base, ["Fall", "Rise", "Grow"])
    assert said == "the weights of version 7"
    assert all(same(network, published).values())


@pytest.mark.parametrize("classes", [["Fall", "Rise"], ["Rise", "Fall", "Grow"]])
def test_a_new_head_where_the_classes_are_others(tmp_path, classes):
    """The body is kept, and the head is the fresh one, also if only the order differs."""
    published = make_network(1)
    base = publish(tmp_path, published, ["Fall", "Rise", "Grow"])
    network, fresh = make_network(2, len(classes)), make_network(2, len(classes))
    said = warm_start.begin(network, base, classes)
    assert said == "the weights of version 7, with a new head for other classes"
    agree = same(network, published) if len(classes) == 3 else None
    assert same(network, fresh)["classifier"]
    if agree:
        assert {layer for layer, equal in agree.items() if not equal} == {"classifier"}
    np.testing.assert_array_equal(
        weights.to_arrays(network)["stem/spatial/kernel"],
        weights.to_arrays(published)["stem/spatial/kernel"],
    )


def test_without_a_champion_the_weights_are_fresh(tmp_path):
    """Nothing asked for, and nothing published: both are said."""
    network, fresh = make_network(2), make_network(2)
    assert warm_start.begin(network, None, ["a", "b", "c"]) == "fresh weights"
    said = warm_start.begin(network, str(tmp_path / "Format-Serving"), ["a", "b", "c"])
    assert said == "fresh weights: nothing is published yet"
    assert all(same(network, fresh).values())


@pytest.mark.parametrize("why", ["old", "damaged", "other network"])
def test_a_champion_that_does_not_fit_is_passed_over(tmp_path, why):
    """Its version is named; the network keeps its own weights."""
    published = make_network(1)
    base = publish(tmp_path, published, ["a", "b", "c"])
    file = Path(base) / warm_start.WEIGHTS_FILE
    if why == "old":
        file.unlink()
    elif why == "damaged":
        file.write_bytes(file.read_bytes()[:1000])
    else:
        file.write_bytes(weights.pack({"other/kernel": np.zeros(3)}))
    network, fresh = make_network(2), make_network(2)
    said = warm_start.begin(network, base, ["a", "b", "c"])
    assert said.startswith("fresh weights: version 7 is of another network")
    assert "\n" not in said
    assert all(same(network, fresh).values())
