import pytest

from orderparam.errors import InvalidProblem
from orderparam.studies.building import builder
from orderparam.studies.catalog import builtin, find
from orderparam.studies.overrides import resolve


def build(text, **options):
    from orderparam.studies.cases import build_cases

    study, source = resolve(text, "toy.toml", **options)
    return study, build_cases(study, builder(study, source))


def changed(text, old, new):
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("claim =", "clam =", r"Unknown key `clam` \(line 3 of toy.toml\): did you mean `claim`"),
        ("width =", "widht =", r"`experiment.widht` \(line 23 .*did you mean `width`"),
        ("seeds = 6", "seeds = 6.5", r"`experiment.seeds` \(line 24 of toy.toml\) is 6.5"),
        (
            'method = "formula"',
            'method = "formual"',
            r"`theory.method` \(line 20 .*did you mean `formula`",
        ),
        ("rate = 0.5", "rat = 0.5", r"`problem.rat` \(line 10 of toy.toml\): did you mean `rate`"),
        ("value = 2.0", "valeu = 2.0", r"`problem.scale.valeu` \(line 14 .*did you mean `value`"),
        (
            'kind = "Scale"',
            'kind = "Sclae"',
            r"\(line 13 of toy.toml\) is .Sclae.: did you mean `Scale`",
        ),
        ('kind = "Decay"', 'kind = "Scale"', r"`problem.kind` \(line 9 .*: Decay\."),
        ('family = "toy"', 'family = "toys"', r"`problem.family` \(line 8 .*`toy`"),
        ('"problem.rate" = [', '"problem.rte" = [', r"`problem.rte` \(line 17 .*`rate`"),
        ("= [0.5, 1.0]", "= []", r"`vary.problem.rate` \(line 17 of toy.toml\) has no values"),
        ("[0.5, 1.0]", "[-1.0]", r"Argument `rate` must be positive"),
        ('title = "A decay"\n', "", r"Key `title` is missing"),
        ("[theory]", "[save]\nsteps = [99]\n[theory]", r"steps 0 to 7"),
    ],
)
def test_mistakes_are_named_with_their_line(toy, old, new, message):
    with pytest.raises(InvalidProblem, match=message):
        build(changed(toy.TOY, old, new))


def test_methods_have_their_own_settings(toy):
    text = changed(toy.TOY, 'method = "formula"', "[theory.formula]\noffset = 0.25")
    _, cases = build(text)
    assert {case.built.method.offset for case in cases} == {0.25}
    with pytest.raises(InvalidProblem, match=r"`theory.formula.ofset` .*did you mean `offset`"):
        build(changed(text, "offset", "ofset"))
    with pytest.raises(InvalidProblem, match=r"`theory.formua` .*Known keys"):
        build(changed(text, "theory.formula", "theory.formua"))


def test_unknown_figure(toy):
    study, source = resolve(changed(toy.TOY, '"curve"', '"curv"'), "toy.toml")
    with pytest.raises(InvalidProblem, match="did you mean `curve`"):
        builder(study, source).check_names(study)


def test_cases_are_the_product(toy):
    text = changed(
        toy.TOY,
        '"problem.rate" = [0.5, 1.0]',
        "problem.rate = [0.5, 1.0]\ntheory.offset = [0.0, 1.0]",
    )
    _, cases = build(text)
    assert [case.label for case in cases] == [
        "rate = 0.5, offset = 0.0", "rate = 0.5, offset = 1.0",
        "rate = 1.0, offset = 0.0", "rate = 1.0, offset = 1.0",
    ]  # fmt: skip
    assert cases[1].built.method.offset == 1.0
    assert cases[2].built.problem.rate == 1.0
    assert cases[2].symbol == "$r = 1$, offset = 0.0"


def test_set_changes_values_and_holds_varied_ones(toy):
    _, (case,) = build(toy.TOY, settings=["problem.rate=3.0", "problem.scale.value=5.0"])
    assert case.built.problem.rate == 3.0
    assert case.built.problem.scale.value == 5.0
    _, cases = build(toy.TOY, settings=["problem.rate=[3.0, 4.0, 5.0]"])
    assert [case.built.problem.rate for case in cases] == [3.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("problem.rtae=1.0", r"`problem.rtae` \(given by --set\): did you mean `rate`"),
        ("experiment.widths=[8]", r"`experiment.widths` \(given by --set\): did you mean `width`"),
        ("experiment.precision=16", r"`experiment.precision` \(given by --set\)"),
        ("name.x=1", r"has no keys inside"),
        ("problem.rate", r"has no value"),
        ("problem.kind=Decay", r"not a TOML value"),
    ],
)
def test_mistakes_in_set(toy, setting, message):
    with pytest.raises(InvalidProblem, match=message):
        build(toy.TOY, settings=[setting])


def test_quick_comes_before_set(toy):
    study, _ = resolve(toy.TOY, "toy.toml", quick=True)
    assert study.experiment.width == [64, 128]
    study, _ = resolve(toy.TOY, "toy.toml", quick=True, settings=["experiment.width=[9]"])
    assert study.experiment.width == [9]
    bad = toy.TOY.replace('"experiment.width" = [64, 128]', '"experiment.wdth" = [64]')
    with pytest.raises(InvalidProblem, match=r"set by line 27 of toy.toml.*`width`"):
        resolve(bad, "toy.toml", quick=True)
    with pytest.raises(InvalidProblem, match="no \\[quick\\] table"):
        resolve(toy.TOY.split("[quick]")[0], "toy.toml", quick=True)


def test_builtin_studies_build():
    from orderparam.studies.cases import build_cases

    names = [study.name for study in builtin()]
    assert "digits-kernels" in names
    for name in names:
        for quick in (False, True):
            study, source = resolve(*find(name), quick=quick)
            kind = builder(study, source)
            kind.check_names(study)
            assert build_cases(study, kind)


def test_unknown_study():
    with pytest.raises(InvalidProblem, match="did you mean `digits-kernels`"):
        find("digit-kernels")
    with pytest.raises(InvalidProblem, match="cannot be read"):
        find("no-such-file.toml")
