from orderparam import kernels
from orderparam.studies.selftest import self_test


def test_the_self_test_tells_right_from_wrong(monkeypatch):
    assert self_test().passed
    correct = kernels.Causal
    monkeypatch.setattr(kernels, "Causal", lambda **options: correct(**options, response=False))
    assert not self_test().passed
