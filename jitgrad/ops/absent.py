"""What MindSpore has and is not here, with the reason."""

from __future__ import annotations

ABSENT: dict[str, str] = {
    "ConfusionMatrixMetric": "nn.ConfusionMatrix counts; nn.Precision, nn.Recall and nn.F1 rate",
    "Custom": "it registers kernels; ops of one's own are jitgrad.custom_vjp or @njit functions",
    "GradAccumulationCell": "it is for several devices; train.TrainStep adds up gradients",
    "GraphCell": "it loads MindIR, which is MindSpore's own; jitgrad.onnx.load reads networks",
    "MatrixLogarithm": "linear algebra here is that of real matrices",
    "LSTM": "its weights are packed for one device's library; nn.LSTM has them one by one",
    "OcclusionSensitivity": "it explains a network; it is no metric of training",
    "SummaryCollector": "it writes for MindInsight; train.History keeps the same numbers",
    "SummaryRecord": "it writes for MindInsight; train.History keeps the same numbers",
    "speed_fusion_attention": "it exists on Ascend only",
}

__all__ = ["ABSENT"]
