"""CORAL and the domain classifier against NumPy."""

import numpy as np
import pytest
import torch

from pipeline.transfer.distances import DomainClassifier, coral, covariance


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
