"""The benchmarks' own machinery: workloads are whole, results travel, a run ends in a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main, parser, resolve
from benchmarks.harness import drive, eager, gradients, report, workload


@pytest.mark.parametrize("name", workload.names())
def test_workloads_are_whole(name: str) -> None:
    module = workload.load(name)
    assert isinstance(module.WORKLOAD, workload.Workload)
    assert 0 < module.WORKLOAD.tolerance < 1e-3
    assert [f for f in ("data", "program", "hand") if not hasattr(module, f)] == []
    assert any(hasattr(module, peer) for peer in ("jax", "torch"))  # no peer compiles all loops
    assert module.__doc__


def test_every_workload_is_described() -> None:
    text = (workload.FOLDER / "README.md").read_text(encoding="utf-8")
    assert [name for name in workload.names() if f"`{name}`" not in text] == []


def test_data_is_the_same_each_time() -> None:
    for name in ("rosenbrock", "mlp_step", "k_means"):
        module = workload.load(name)
        for a, b in zip(module.data(), module.data()):
            assert np.array_equal(a, b)


def test_names_files_and_labels() -> None:
    assert resolve("elementwise_chain") == "elementwise_chain"
    assert resolve("benchmarks/elementwise_chain.py") == "elementwise_chain"
    assert resolve("w1") == "elementwise_chain"
    with pytest.raises(SystemExit, match="no workload 'w99'; have "):
        resolve("w99")


def test_difference() -> None:
    a, b = np.array([1.0, 4.0]), np.array([1.0, 4.4])
    assert drive.difference([a], [b]) == pytest.approx(0.1)
    assert drive.difference([a], [b[:1]]) == float("inf")


def example() -> drive.Result:
    result = drive.Result("a chain", "W0", 1e-6, "jax")
    for name, least in (("jitgrad", 2.0), ("hand", 1.0), ("jax", 8.0), ("torch", 6.0)):
        result.candidates[name] = drive.Figures(1, least=least, cold=1.0, agrees=True, error=1e-9)
    result.candidates["autograd"] = drive.Figures(1, failed="ImportError: no")
    return result


def test_ratios() -> None:
    result = example()
    assert result.best_peer() == "torch"
    assert result.ratio("jitgrad", "hand") == 2
    assert result.ratio("jitgrad", "autograd") is None
    assert list(report.slow({"chain": result})) == ["chain: 2.00 times as long as by hand"]


def test_results_survive_a_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    report.write({"chain": example()}, path)
    report.write({"other": example()}, path)
    facts, results = report.stored(path)
    assert list(results) == ["chain", "other"]
    assert results["chain"].ratio("jitgrad", "torch") == pytest.approx(1 / 3)
    assert facts["cores"] >= 1


def test_summary() -> None:
    row = report.summary({"chain": example()}).splitlines()[2]
    assert row.split() == [
        *("chain", "a", "chain", "2.00", "1.00", "6.00", "torch", "2.0", "0.33", "1.0", "1e-09")
    ]


def test_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(report, "REPORTS", tmp_path)
    monkeypatch.delenv("JITGRAD_BENCH_PYTHON", raising=False)
    few = ["--rounds", "1", "--seconds", "0.01"]
    monkeypatch.setattr(report, "plots", lambda results: [])
    assert main(["scalars", "--only", "jitgrad,hand", *few]) == 0
    printed = capsys.readouterr().out
    assert "x * x * y, scalars" in printed
    assert (tmp_path / "benchmarks.json").exists()
    assert parser().parse_args([]).workloads == []


# --- gradients and small calls ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rosenbrock", "mlp_step", "k_means"])
def test_gradients_that_workloads_ask_for(name: str) -> None:
    asked = gradients.asked(name)
    assert callable(asked.function)
    assert asked.arguments


def test_cost_of_a_gradient() -> None:
    found = gradients.cost("scalars", 0.001)
    assert found.loss > 0
    assert found.both > 0
    assert "above 5" in gradients.Cost(1.0, 6.0).line("name")
    assert "above" not in gradients.Cost(1.0, 2.5).line("name")


def test_small_programs_run() -> None:
    for run in eager.of_jitgrad().values():
        run()


def test_transforms_and_batches_by_hand_agree() -> None:
    for transform, hand in eager.batches().values():
        np.testing.assert_allclose(transform().asnumpy(), hand().asnumpy(), rtol=1e-9, atol=1e-12)
