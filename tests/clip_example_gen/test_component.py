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
        num_frames=10,
        frame_step=15,
        image_size=224,
        seed=7,
        data_version="sha of the data",
        code_version="sha of the code",
    )
    properties = component.exec_properties
    assert {type(value) for value in properties.values()} == {str, int}
    assert json.loads(properties["classes"]) == ["Rise", "Fall"]
    assert json.loads(properties["clips_per_class"]) == [30, 10, 10]
    assert properties["data_version"] == "sha of the data"
    assert properties["code_version"] == "sha of the code"
    assert set(component.outputs) == {"examples"}
