"""What MindSpore has and is not here, with the reason."""

from __future__ import annotations

COMPLEX = "it needs complex dtypes, which are not here"

ABSENT: dict[str, str] = {
    **dict.fromkeys(
        (
            *("fft", "fft2", "fftn", "hfft", "ifft", "ifft2", "ifftn", "ihfft", "irfft", "irfft2"),
            *("irfftn", "polar", "rfft", "rfft2", "rfftn", "stft", "view_as_real", "FFTWithSize"),
            *("MatrixLogarithm", "Polar"),
        ),
        COMPLEX,
    ),
    "Custom": "it registers kernels; ops of one's own are jitgrad.custom_vjp or @njit functions",
    "GradAccumulationCell": "it is for several devices; train.TrainStep adds up gradients",
    "GraphCell": "it loads MindIR, which is MindSpore's own; jitgrad.onnx.load reads networks",
    "LSTM": "its weights are packed for one device's library; nn.LSTM has them one by one",
    "SummaryCollector": "it writes for MindInsight; train.History keeps the same numbers",
    "SummaryRecord": "it writes for MindInsight; train.History keeps the same numbers",
    "speed_fusion_attention": "it exists on Ascend only",
}

__all__ = ["ABSENT", "COMPLEX"]
