import json
import re
import tomllib

import numpy as np
import pytest

import orderparam as op
from orderparam.errors import OrderParamError
from orderparam.studies.overrides import resolve
from orderparam.studies.runner import run_study
from orderparam.studies.tables import has_numbers, print_summary


@pytest.fixture
def run(toy, tmp_path):
    """Runs the toy study with changes."""

    def start(*settings, text=toy.TOY, figures=False, **options):
        settings = settings if figures else ("figures=[]", *settings)
        study, source = resolve(text, "toy.toml", settings=settings)
        toy.calls.clear()
        return run_study(study, source, store=tmp_path / "store", progress=False, **options)

    return start


def test_the_run_folder_is_complete(run):
    folder = run(figures=True).folder
    names = {path.name for path in folder.iterdir()}
    results = {f"{kind}-{number}.nc" for kind in ("theory", "experiment") for number in (1, 2)}
    pictures = {f"{n}.{k}" for n in ("curve", "each-1", "each-2") for k in ("png", "svg")}
    written = {"study.toml", "cases.json", "comparison.json", "environment.json", "report.html"}
    assert names == results | pictures | written | {".lock"}
    assert re.fullmatch(r"toy-[0-9a-f]{8}", folder.name)
    cases = json.loads((folder / "cases.json").read_text())["cases"]
    assert [case["values"] for case in cases] == [{"problem.rate": 0.5}, {"problem.rate": 1.0}]
    assert json.loads((folder / "environment.json").read_text())["results"]["theory-1"]["seed"] == 0


def test_the_resolved_study_gives_the_same_run(run):
    first = run("seed=3", "problem.scale.value=4.0")
    text = (first.folder / "study.toml").read_text()
    assert tomllib.loads(text)["seed"] == 3
    assert run(text=text).folder == first.folder


def test_a_repeated_run_computes_nothing(run, toy):
    first = run()
    assert toy.calls == ["theory", "experiment", "theory", "experiment"]
    assert run().summary == first.summary
    assert toy.calls == []
    run(force=True)
    assert len(toy.calls) == 4


def test_runs_share_results_but_only_the_same_ones(run, toy):
    run()
    run("experiment.seeds=5")
    assert toy.calls == ["experiment", "experiment"]
    run("problem.rate=[1.0, 2.0]")
    assert toy.calls == ["theory", "experiment"]
    run("seed=1")
    assert len(toy.calls) == 4
    run("save.steps=3")
    assert len(toy.calls) == 4


def test_cases_that_differ_in_the_method_share_their_networks(run, toy):
    text = toy.TOY.replace('"problem.rate" = [0.5, 1.0]', '"theory.offset" = [0.0, 0.05]')
    finished = run(text=text)
    assert toy.calls == ["theory", "experiment", "theory"]
    assert {case["experiment"]["file"] for case in finished.summary["cases"]} == {"experiment-1.nc"}
    assert [case["verdict"] for case in finished.summary["cases"]] == ["pass", "fail"]
    run(text=text, force=True)
    assert toy.calls == ["theory", "experiment", "theory"]


def test_the_experiment_can_be_varied(run, toy):
    text = toy.TOY.replace('"problem.rate" = [0.5, 1.0]', '"experiment.seeds" = [5, 6]')
    finished = run(text=text)
    assert toy.calls == ["theory", "experiment", "experiment"]
    files = [op.load(finished.folder / f"experiment-{n}.nc")["loss"].sizes["seed"] for n in (1, 2)]
    assert files == [5, 6]


def test_another_version_of_the_library_computes_again(run, toy, monkeypatch):
    run()
    monkeypatch.setattr(op, "__version__", "99")
    run()
    assert len(toy.calls) == 4


def test_an_interrupted_run_keeps_what_is_done(run, toy, monkeypatch):
    simulate = op.simulate

    def interrupted(problem, **options):
        if problem.rate == 1.0:
            raise KeyboardInterrupt
        return simulate(problem, **options)

    monkeypatch.setattr(op, "simulate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert toy.calls == ["theory", "experiment", "theory"]
    monkeypatch.undo()
    run()
    assert toy.calls == ["experiment"]


def test_a_cancelled_result_is_not_kept(run, toy):
    with pytest.raises(KeyboardInterrupt):
        run('theory.verdict="cancelled"')
    with pytest.raises(KeyboardInterrupt):
        run('theory.verdict="cancelled"')
    assert toy.calls == ["theory"]


def test_a_damaged_result_is_computed_again(run, toy):
    folder = run().folder
    path = folder / "theory-2.nc"
    path.write_bytes(path.read_bytes()[:-100])
    run()
    assert toy.calls == ["theory"]
    assert np.isfinite(op.load(path)["loss"].values).all()


@pytest.mark.parametrize("name", ["cases.json", "comparison.json"])
@pytest.mark.parametrize("text", ["", '{"title": 3}', None])
def test_damaged_lists_are_reported_and_made_anew_from_the_results(run, toy, name, text):
    first = run()
    path = first.folder / name
    before = path.read_text()
    path.unlink() if text is None else path.write_text(text)
    said = []
    assert run(say=said.append).summary == first.summary
    assert toy.calls == []
    assert path.read_text() == before
    reported = any(name in line and "made anew" in line for line in said)
    assert reported is (name == "cases.json" or text is not None)
    assert not list(first.folder.glob("*.kept"))


def test_force_computes_again_where_the_index_is_damaged(run, toy):
    folder = run().folder
    (folder / "cases.json").write_text("")
    run(force=True)
    assert len(toy.calls) == 4


@pytest.mark.parametrize(
    ("setting", "verdict"),
    [
        ("theory.offset=0.0", "pass"),
        ("theory.offset=0.05", "fail"),
        ('theory.verdict="error_too_large"', "not converged"),
        ('theory.verdict="diverged"', "error"),
    ],
)
def test_verdicts(run, setting, verdict):
    assert run(setting).summary["verdict"] == verdict


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [
        (["theory.offset=0.0"], "pass"),
        (["theory.offset=0.2"], "fail"),  # the claim fails as well
        (["theory.offset=0.05"], "pass"),  # agreement fails, but is only shown
        (["theory.offset=0.0", 'claims=["impossible"]'], "undecided"),
        (["theory.offset=0.2", "claims=[]"], "done"),
    ],
)
def test_claims_decide_where_agreement_is_only_shown(run, settings, verdict):
    finished = run('claims=["decays"]', 'agreement="shown"', *settings)
    assert finished.summary["verdict"] == verdict
    page = (finished.folder / "report.html").read_text()
    assert ("<h2>Claims</h2>" in page) == (verdict != "done")
    print_summary(finished.summary)


def test_a_failure_counts_even_where_accuracy_is_missed(run):
    settings = ("theory.offset=0.05", 'theory.verdict="error_too_large"')
    assert run(*settings).summary["verdict"] == "fail"


def test_an_error_in_one_case_does_not_stop_the_others(run, toy):
    said = []
    summary = run("problem.rate=[1000.0, 1.0]", say=said.append).summary
    assert [case["verdict"] for case in summary["cases"]] == ["error", "pass"]
    assert summary["verdict"] == "error"
    assert any("lower the rate" in line for line in said)


def test_the_estimate_comes_before_the_work(run, toy):
    said = []
    run(say=lambda line: said.append((line, len(toy.calls))))
    assert "about 1 MiB" in said[0][0]
    assert said[0][1] == 0


def test_the_report_needs_no_network(run):
    folder = run(figures=True).folder
    page = (folder / "report.html").read_text()
    loaded = re.findall(r"""(?:src|href|url|import|action)\s*[=(:]\s*["']?([^"'\s)>]*)""", page)
    assert loaded
    assert all(
        target.startswith("data:image/png;base64,") for target in loaded if "arxiv" not in target
    )
    assert not re.search(r"<(script|link|iframe|object|embed)", page)
    for text in ("A decay", "It decays.", "rate = 0.5", "rms deviation", "@misc{toy2026", "jax"):
        assert text in page
    assert "not drawn: no case has what it needs (missing)" in page
    assert page.count("<img") == 3


def test_text_in_the_report_is_escaped(run, toy):
    text = toy.TOY.replace('"A decay"', '"<script>alert(1)</script>"')
    assert "<script>" not in (run(text=text).folder / "report.html").read_text()


def test_no_store(run, tmp_path):
    (tmp_path / "store").write_text("a file")
    with pytest.raises(OrderParamError, match="--out"):
        run()


def test_a_table_without_numbers_is_not_shown():
    row = {"variable": "Q", "p_value": "nan", "verdict": "undecided", "note": "use two seeds"}
    assert not has_numbers([row, row])
    assert has_numbers([row, row | {"p_value": 0.5}])
