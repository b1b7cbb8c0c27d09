"""Embeds with OpenVINO, in bfloat16 where the processor computes in it; an optional engine."""

import sys
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from components import embedder

# Without this package openvino sends nobody its usage statistics: it has a stub in its place.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
import openvino  # noqa: E402
from openvino.frontend.tensorflow import utils as frontend  # noqa: E402

# Its own imports by exec, which raises NameError on Python 3.13.
frontend.get_environment_setup = lambda framework: {"tensorflow": tf.__version__}


class OpenVinoEmbedder(embedder.Embedder):
    """The network of a SavedModel run by OpenVINO on frames that TensorFlow decodes."""

    engine = "openvino"

    def __init__(self, model_dir: str):
        """Compiles the network; ValueError where the model has no `decode`, no `embed_frames`."""
        super().__init__(model_dir)
        self._decode = self.signature("decode")
        network = openvino.convert_model(self.signature("embed_frames"))
        # A window at a time: no padding, and no vector depends on another.
        network.reshape([1, *list(network.inputs[0].partial_shape)[1:]])
        # As many requests at once as the processor is fastest with.
        self._compiled = openvino.Core().compile_model(
            network, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"}
        )

    def vectors(self, examples: Iterable[bytes]) -> Iterator[np.ndarray]:
        """Yields the vectors of all Examples at once; as some are embedded, the next are decoded.

        Raises:
          ValueError: a vector that is zero or not finite.
        """
        clip_ids: list[str] = []
        of_clips: list[np.ndarray] = []  # float32 [w, d] each

        def keep(request: openvino.InferRequest, place: tuple[int, int]) -> None:
            clip, window = place
            of_clips[clip][window] = request.get_output_tensor().data[0]

        # Twice as many as run at once: some wait while the next are decoded.
        running = self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        requests = openvino.AsyncInferQueue(self._compiled, 2 * running)
        requests.set_callback(keep)
        dim = self._compiled.output().shape[1]
        for batch in embedder.batches(examples, embedder.BATCH_SIZE):
            frames = self._decode(examples=tf.constant(batch))["frames"].numpy()
            for example, windows in zip(batch, frames, strict=True):
                clip_ids.append(embedder.clip_names(example).clip_id)
                of_clips.append(np.empty((len(windows), dim), np.float32))
                for number, window in enumerate(windows):  # waits where none is free
                    requests.start_async({0: window[None]}, (len(of_clips) - 1, number))
        requests.wait_all()
        if clip_ids:
            yield embedder.unit(np.mean(of_clips, axis=1), clip_ids)
