"""Record what PyTorch answers."""

import json
import warnings
from pathlib import Path

import torch

from tests.api.torch_programs import kind, programs, run

warnings.simplefilter("ignore")
answers = {}
for name, program in programs():
    shown, error = run(program, torch)
    answers[name] = {"shown": shown, "error": kind(error)}
lines = [f"{json.dumps(name)}: {json.dumps(answer)}" for name, answer in answers.items()]
text = "{\n" + ",\n".join(lines) + "\n}\n"
Path(__file__).with_name("answers.json").write_text(text)
