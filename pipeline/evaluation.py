"""What Evaluator measures, and the bar below which it does not bless."""

import tensorflow_model_analysis as tfma

from components import features

#: Clips in a forward pass of the evaluator; its own batches are unbounded.
INFERENCE_BATCH_SIZE = 8


def make_eval_config(min_accuracy: float) -> tfma.EvalConfig:
    """Returns the configuration of TFMA: accuracy overall and per class, overall accuracy gated.

    Args:
      min_accuracy: what the whole test split must reach, in [0, 1].
    """
    overall_threshold = tfma.PerSliceMetricThreshold(
        slicing_specs=[tfma.SlicingSpec()],
        threshold=tfma.MetricThreshold(
            value_threshold=tfma.GenericValueThreshold(lower_bound={"value": min_accuracy})
        ),
    )
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name="serving_default",
                preprocessing_function_names=["transform_features"],
                label_key=features.LABEL_XF,
                inference_batch_size=INFERENCE_BATCH_SIZE,
            )
        ],
        slicing_specs=[tfma.SlicingSpec(), tfma.SlicingSpec(feature_keys=[features.CLASS_NAME])],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    tfma.MetricConfig(
                        class_name="SparseCategoricalAccuracy",
                        config='{"name": "accuracy"}',
                        per_slice_thresholds=[overall_threshold],
                    ),
                    tfma.MetricConfig(class_name="ExampleCount"),
                ]
            )
        ],
    )
