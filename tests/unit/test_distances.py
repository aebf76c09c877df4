"""CORAL, MMD and the domain classifier against NumPy."""

import numpy as np
import pytest
import torch

from pipeline.transfer.distances import WIDTHS, DomainClassifier, coral, covariance, mmd


def features(rows: int, seed: int, dim: int = 3) -> torch.Tensor:
    return torch.as_tensor(np.random.default_rng(seed).normal(size=(rows, dim)) * (1 + seed))


def test_coral_is_the_published_formula():
    """Squared Frobenius distance of np.cov, over 4 D^2."""
    source, target = features(16, 0), features(9, 1)
    gap = np.cov(source.numpy(), rowvar=False) - np.cov(target.numpy(), rowvar=False)
    assert coral(source, target).item() == pytest.approx((gap**2).sum() / (4 * 3**2), rel=1e-12)
    np.testing.assert_allclose(covariance(source).numpy(), np.cov(source.numpy(), rowvar=False))


def test_coral_of_equal_features_is_zero():
    """Nothing to align: neither with itself, nor in another order, nor shifted by a constant."""
    source = features(16, 0)
    assert coral(source, source).item() == 0
    assert coral(source, source.flip(0) + 4).item() == pytest.approx(0, abs=1e-24)


def test_coral_is_symmetric_and_grows_with_the_fourth_power():
    """Covariances are squares, and their distance is squared again."""
    source, target = features(16, 0), features(9, 1)
    assert coral(source, target).item() == pytest.approx(coral(target, source).item())
    assert coral(3 * source, 3 * target).item() == pytest.approx(81 * coral(source, target).item())


def test_the_gradient_of_coral_is_that_of_finite_differences():
    """Both sides get their gradient."""
    assert torch.autograd.gradcheck(coral, (features(6, 0).requires_grad_(), features(5, 1).requires_grad_()))


def test_mmd_is_the_published_sum_over_all_pairs():
    """Kernel by kernel and pair by pair in NumPy, with the median over pairs of different rows."""
    source, target = features(9, 0).numpy(), features(6, 1).numpy()
    both = [*source, *target]
    pairs = [((one - other) ** 2).sum() for place, one in enumerate(both) for other in both[:place]]
    median = sorted(pairs)[(len(pairs) - 1) // 2]

    def mean(ones: np.ndarray, others: np.ndarray) -> float:
        kernels = [[np.exp(-((a - b) ** 2).sum() / (m * median)) for m in WIDTHS] for a in ones for b in others]
        return float(np.mean(kernels))

    expected = mean(source, source) + mean(target, target) - 2 * mean(source, target)
    assert expected > 0.05
    assert mmd(torch.as_tensor(source), torch.as_tensor(target)).item() == pytest.approx(expected, rel=1e-9)


def test_mmd_tells_equal_samples_from_shifted_ones():
    """Zero of the same rows in another order, larger the farther they are shifted, and the same both ways round."""
    source = features(16, 0)
    far = [mmd(source, source.flip(0) + shift).item() for shift in (0.0, 0.5, 2.0)]
    assert far[0] == pytest.approx(0, abs=1e-12)
    assert 0.01 < far[1] < far[2]
    assert mmd(source + 2, source).item() == pytest.approx(mmd(source, source + 2).item())


def test_the_gradient_of_mmd_is_that_of_finite_differences(monkeypatch):
    """With the median held still, which is a constant to the gradient; rows that coincide have one too."""
    source, target = features(6, 0).requires_grad_(), features(5, 1).requires_grad_()
    both = torch.cat([source, target]).detach()
    median = torch.pdist(both).square().median()
    monkeypatch.setattr(torch.Tensor, "median", lambda self: median)
    assert torch.autograd.gradcheck(mmd, (source, target))
    same = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    mmd(same, torch.ones(3, 3, dtype=torch.float64)).backward()
    assert torch.isfinite(same.grad).all()


def classifier(seed: int = 0) -> DomainClassifier:
    torch.manual_seed(seed)
    return DomainClassifier(3, hidden=5).double()


def classified(model: DomainClassifier, rows: torch.Tensor) -> np.ndarray:
    """The chance of `source`, by NumPy."""
    first, _, last = model.layers
    hidden = np.maximum(rows.detach().numpy() @ first.weight.detach().numpy().T + first.bias.detach().numpy(), 0)
    logit = hidden @ last.weight.detach().numpy().T + last.bias.detach().numpy()
    return 1 / (1 + np.exp(-logit[:, 0]))


def test_the_classifier_loss_is_the_cross_entropy_with_equal_domains():
    """Half the mean over source rows plus half the mean over target rows, whatever their numbers."""
    model, source, target = classifier(), features(16, 0), features(4, 1)
    expected = -(np.log(classified(model, source)).mean() + np.log(1 - classified(model, target)).mean()) / 2
    assert model(source, target).item() == pytest.approx(expected, rel=1e-10)


def test_a_classifier_at_chance_loses_ln_2():
    """One that says a half for everything."""
    model = classifier()
    for parameter in model.layers[2].parameters():
        parameter.data.zero_()
    assert model(features(16, 0), features(4, 1)).item() == pytest.approx(np.log(2), rel=1e-12)


def difference(model: DomainClassifier, tensor: torch.Tensor, loss) -> torch.Tensor:
    """Central differences of the loss along every entry of a tensor, which is changed in place and put back."""
    step, slope = 1e-6, torch.zeros_like(tensor)
    flat, out = tensor.data.view(-1), slope.view(-1)
    for place in range(len(flat)):
        before = flat[place].item()
        flat[place] = before + step
        above = loss().item()
        flat[place] = before - step
        out[place] = (above - loss().item()) / (2 * step)
        flat[place] = before
    return slope


def test_the_features_get_the_gradient_reversed_and_the_classifier_its_own():
    """By finite differences: minus the slope for the features of both domains, plus for the classifier's weights."""
    model, source, target = classifier(), features(4, 0).requires_grad_(), features(3, 1).requires_grad_()

    def loss() -> torch.Tensor:
        return model(source, target)

    loss().backward()
    for rows in (source, target):
        slope = difference(model, rows, loss)
        assert slope.abs().max() > 1e-3
        torch.testing.assert_close(rows.grad, -slope, atol=1e-7, rtol=1e-5)
    for parameter in model.parameters():
        torch.testing.assert_close(parameter.grad, difference(model, parameter, loss), atol=1e-7, rtol=1e-5)


def test_descent_on_one_loss_teaches_the_classifier_and_mixes_the_features():
    """The same optimiser step lowers the classifier's loss through its weights and raises it through the features."""
    shift = torch.full((1, 3), 0.5, dtype=torch.float64)
    source, target = features(64, 0) + shift, features(64, 0) - shift
    model = classifier()
    moved = [source.clone().requires_grad_(), target.clone().requires_grad_()]
    before = model(*moved)
    before.backward()
    with torch.no_grad():
        steps = [rows - rows.grad for rows in moved]
        assert model(*steps).item() > before.item()
        for parameter in model.parameters():
            parameter.sub_(0.05 * parameter.grad)
        assert model(source, target).item() < before.item()
