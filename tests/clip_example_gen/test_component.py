"""The node's declaration."""

import json

from components.clip_example_gen.component import ClipExampleGen


def test_parameters_are_strings_and_numbers():
    """Lists travel as JSON, and the versions are parameters, so that caching sees them."""
    component = ClipExampleGen(
        source="library.zip",
        classes=["Rise", "Fall"],
        clips_per_class=(30, 10, 10),
        split="group-hash",
        split_fractions=(0.5, 0.25, 0.25),
        num_frames=10,
        frame_step=15,
        image_size=224,
        num_windows=3,
        seed=7,
        max_reject_fraction=0.01,
        fetch_workers=8,
        fetch_timeout=60.0,
        store_dir="store",
        data_version="sha of the data",
        code_version="sha of the code",
        decode_version="sha of the decoder",
    )
    properties = component.exec_properties
    assert {type(value) for value in properties.values()} == {str, int, float}
    assert json.loads(properties["classes"]) == ["Rise", "Fall"]
    assert json.loads(properties["clips_per_class"]) == [30, 10, 10]
    assert json.loads(properties["split_fractions"]) == [0.5, 0.25, 0.25]
    assert properties["data_version"] == "sha of the data"
    assert properties["code_version"] == "sha of the code"
    assert set(component.outputs) == {"examples"}
