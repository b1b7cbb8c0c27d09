"""What Evaluator measures, and the bar below which it does not bless."""

from tensorflow_model_analysis.proto import config_pb2

from components import features

#: Clips in a forward pass of the evaluator; its own batches are unbounded.
INFERENCE_BATCH_SIZE = 8


def make_eval_config(min_accuracy: float) -> config_pb2.EvalConfig:
    """Returns the configuration of TFMA: accuracy overall and per class, overall accuracy gated.

    Args:
      min_accuracy: what the whole test split must reach, in [0, 1].
    """
    overall_threshold = config_pb2.PerSliceMetricThreshold(
        slicing_specs=[config_pb2.SlicingSpec()],
        threshold=config_pb2.MetricThreshold(
            value_threshold=config_pb2.GenericValueThreshold(lower_bound={"value": min_accuracy})
        ),
    )
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                signature_name="serving_default",
                preprocessing_function_names=["transform_features"],
                label_key=features.LABEL_XF,
                inference_batch_size=INFERENCE_BATCH_SIZE,
            )
        ],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            config_pb2.SlicingSpec(feature_keys=[features.CLASS_NAME]),
        ],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    config_pb2.MetricConfig(
                        class_name="SparseCategoricalAccuracy",
                        config='{"name": "accuracy"}',
                        per_slice_thresholds=[overall_threshold],
                    ),
                    config_pb2.MetricConfig(class_name="ExampleCount"),
                ]
            )
        ],
    )
