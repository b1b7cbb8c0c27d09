"""Training of the compared kinds, all on the same budget: heads, augmentation, window drawn or not.

Only softmax is part of the pipeline; the others live here, to be compared with it.
"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from components.trainer import augmentation, model, precision
from pipeline.config import PipelineConfig

SOFTMAX, COSINE, CONTRASTIVE = "softmax", "cosine-softmax", "softmax and contrastive"

#: Of cosine-softmax: what the cosines are multiplied by before the softmax.
COSINE_SCALE = 8.0
#: Of the contrastive loss, as parts of the sum of both; Khosla et al. divide cosines by 0.1.
TEMPERATURE, CONTRASTIVE_WEIGHT = 0.2, 0.5
#: It needs pairs, so larger batches, and as these are fewer steps, a higher learning rate.
_PAIRED_BATCH, _PAIRED_RATE = 20, 2e-3

_DEFAULTS = PipelineConfig()
_CALM = augmentation.Augmentation()
_DEFAULT_CHANGES = augmentation.Augmentation(
    _DEFAULTS.augment_crop,
    _DEFAULTS.augment_flip,
    _DEFAULTS.augment_color,
    _DEFAULTS.temporal_jitter,
)


class Kind(NamedTuple):
    """How a network is trained.

    Attributes:
      head: SOFTMAX, COSINE or CONTRASTIVE.
      changes: of the training clips.
      draws_window: whether a step sees a window that is drawn, or the middle one.
      label_smoothing: as in `settings.TrainSettings`.
    """

    head: str = SOFTMAX
    changes: augmentation.Augmentation = _DEFAULT_CHANGES
    draws_window: bool = True
    label_smoothing: float = 0.0


#: The pipeline's own way first.
KINDS = {
    "the default": Kind(),
    "no augmentation": Kind(changes=_CALM, draws_window=False),
    "windows drawn": Kind(changes=_CALM),
    "windows, crop, jitter": Kind(changes=_DEFAULT_CHANGES._replace(color=0.0)),
    "windows, color": Kind(changes=_CALM._replace(color=_DEFAULT_CHANGES.color)),
    "label smoothing 0.1": Kind(label_smoothing=0.1),
    COSINE: Kind(head=COSINE),
    CONTRASTIVE: Kind(head=CONTRASTIVE),
}


class TrainingClips(NamedTuple):
    """Clips: frames uint8 [n, w, t, h, w, c], w windows each; labels int64 [n]."""

    frames: np.ndarray
    labels: np.ndarray


def train(
    clips: TrainingClips, kind: Kind, *, num_classes: int, epochs: int, seed: int
) -> tuple[keras.Model, float]:
    """Returns a trained embedding network, and the processor seconds of its training."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    paired = kind.head == CONTRASTIVE
    batch_size = _PAIRED_BATCH if paired else _DEFAULTS.batch_size
    batch_size = min(batch_size, len(clips.labels))
    rate = _PAIRED_RATE if paired else _DEFAULTS.learning_rate
    num_frames, image_size = clips.frames.shape[2:4]
    with precision.used(precision.choose("auto")):
        network = model.build_network(num_frames, image_size, num_classes)
        total_steps = epochs * (len(clips.labels) // batch_size)
        optimizer = model.make_optimizer("adamw", rate, _DEFAULTS.weight_decay, total_steps)
        optimizer.build(network.trainable_variables)
        step = _make_step(network, optimizer, kind, num_classes)
        started = time.process_time()
        for epoch in range(epochs):
            make = paired_batches if paired else shuffled_batches
            for index, rows in enumerate(make(clips.labels, batch_size, rng)):
                middle = np.full(len(rows), (clips.frames.shape[1] - 1) // 2)
                drawn = rng.integers(0, clips.frames.shape[1], len(rows))
                frames = clips.frames[rows, drawn if kind.draws_window else middle]
                step(frames, clips.labels[rows], tf.constant([epoch, index]))
    return model.embedding_network(network), time.process_time() - started


def _make_step(
    network: keras.Model, optimizer: keras.optimizers.Optimizer, kind: Kind, num_classes: int
) -> Callable[..., None]:
    classifier = network.get_layer("classifier")
    both = keras.Model(network.input, [network.get_layer("embedding").output, network.output])

    @tf.function
    def step(frames: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> None:
        pixels = tf.cast(frames, tf.float32) / 255.0
        pixels = augmentation.augment(pixels, seed, kind.changes)
        with tf.GradientTape() as tape:
            vectors, logits = both(pixels, training=True)
            if kind.head == COSINE:
                logits = COSINE_SCALE * cosines(vectors, classifier.kernel)
            wanted = tf.one_hot(labels, num_classes) * (1.0 - kind.label_smoothing)
            wanted += kind.label_smoothing / num_classes
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, logits))
            if kind.head == CONTRASTIVE:
                loss += CONTRASTIVE_WEIGHT * contrastive_loss(vectors, labels)
        gradients = tape.gradient(loss, network.trainable_variables)
        # Cosine-softmax leaves the classifier's bias aside.
        pairs = zip(gradients, network.trainable_variables, strict=True)
        kept = [(g, variable) for g, variable in pairs if g is not None]
        optimizer.apply_gradients(kept)

    return step


def cosines(vectors: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Returns the cosines of `vectors` [b, d] with the columns of `kernel` [d, k], [b, k]."""
    return tf.matmul(tf.math.l2_normalize(vectors, 1), tf.math.l2_normalize(kernel, 0))


def contrastive_loss(vectors: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns the supervised contrastive loss of a batch.

    L_out of Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, equation 2: for each clip
    the mean of -log softmax over the other clips, at those of its class. Clips that are alone of
    their class do not count.

    Args:
      vectors: float32 [b, d], of any norm.
      labels: int [b].
    """
    unit = tf.math.l2_normalize(vectors, 1)
    itself = tf.eye(tf.shape(labels)[0])
    logits = tf.matmul(unit, unit, transpose_b=True) / TEMPERATURE - 1e9 * itself
    positive = tf.cast(labels[:, tf.newaxis] == labels, tf.float32) - itself
    number = tf.reduce_sum(positive, axis=1)
    each = -tf.reduce_sum(positive * tf.nn.log_softmax(logits), axis=1)
    return tf.math.divide_no_nan(
        tf.reduce_sum(tf.math.divide_no_nan(each, number)),
        tf.reduce_sum(tf.cast(number > 0, tf.float32)),
    )


def shuffled_batches(
    labels: np.ndarray, batch_size: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yields an epoch's batches, rows of `labels`; what is left over at the end is left out."""
    rows = rng.permutation(len(labels))
    yield from rows[: len(rows) // batch_size * batch_size].reshape(-1, batch_size)


def paired_batches(
    labels: np.ndarray, batch_size: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yields as `shuffled_batches`, of an even size, so that each clip has one of its class beside.

    A clip that is left over in its class is left out of the epoch.
    """
    pairs = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        pairs.append(rows[: len(rows) // 2 * 2].reshape(-1, 2))
    rows = rng.permutation(np.concatenate(pairs)).ravel()
    size = batch_size // 2 * 2
    yield from rows[: len(rows) // size * size].reshape(-1, size)
