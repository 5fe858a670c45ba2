"""The loop against a straightforward one: torchvision transforms, a DataLoader, a plain SGD, one `.item()` a step."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from renorm import data, models
from renorm.core.errors import RenormError
from renorm.data.batches import PADDING, Augmentation, memory_layout
from renorm.norms import NormSpec
from renorm.norms.deconv import DeconvConv2d
from renorm.study.config import Recipe
from renorm.training.trainer import Trainer

from .cells import SMALL

CPU = torch.device("cpu")
# Small, so that rounding is not amplified step by step: what is compared is the loop, not chaos.
LR = 0.002


class TransformedDigits(Dataset):
    """The digits as PIL images through torchvision's transforms, with the offsets that the epoch drew."""

    def __init__(self, split, mean, std, draws):
        self.split, self.draws = split, draws
        self.tail = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])

    def __len__(self):
        return len(self.draws.order)

    def __getitem__(self, row):
        number = int(self.draws.order[row])
        image = Image.fromarray(self.split.images[number].transpose(1, 2, 0))
        image = transforms.functional.pad(image, PADDING)
        image = transforms.functional.crop(image, int(self.draws.top[row]), int(self.draws.left[row]), 32, 32)
        if self.draws.flip[row]:
            image = transforms.functional.hflip(image)
        return self.tail(image), int(self.split.labels[number])


def model(norm):
    torch.manual_seed(1)
    return models.create("tiny_vgg", NormSpec(name=norm), 10, 32, 3)


def test_fifty_steps_equal_the_plain_loop(prepared_digits):
    for norm in ("batch_norm", "deconv"):
        digits = data.open_prepared(prepared_digits / "digits", "digits")
        hyper = Recipe(**(SMALL | {"train_images": 320, "optimizer": {"lr": LR}})).resolved(norm, "tiny_vgg")
        trainer = Trainer(model(norm), digits, hyper, epochs=5, seed=1, device=CPU)
        trainer.run()
        losses = plain_losses(norm, digits, hyper)
        ours = [row["train_loss"] for row in trainer.rows]
        torch.testing.assert_close(torch.tensor(ours), torch.tensor(losses), rtol=1e-3, atol=0)


def plain_losses(norm, digits, hyper) -> list[float]:
    """Mean training loss per epoch of 5 epochs of 10 steps."""
    network = model(norm)
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, momentum=0.9, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50)
    split = data.prepared.Split(digits.train.images[:320], digits.train.labels[:320])
    means = []
    for epoch in range(1, 6):
        network.train()
        draws = Augmentation.draw(320, 1, epoch, hyper["augment"])
        total = 0.0
        for x, y in DataLoader(TransformedDigits(split, digits.mean, digits.std, draws), batch_size=32):
            optimizer.zero_grad()
            # In the trainer's layout: others round otherwise, and fifty steps make a thousandth of that.
            loss = F.cross_entropy(network(x.contiguous(memory_format=memory_layout(CPU))), y)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(y)
        means.append(total / 320)
    return means


def test_the_last_ragged_batch_is_kept(prepared_digits):
    digits = data.open_prepared(prepared_digits / "digits", "digits")
    hyper = Recipe(**(SMALL | {"train_images": 70})).resolved("batch_norm", "tiny_vgg")
    trainer = Trainer(model("batch_norm"), digits, hyper, epochs=1, seed=1, device=CPU)
    assert trainer.steps == 3
    seen, network = [], trainer.model
    network.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])) if network.training else None)
    trainer.run()
    assert seen == [32, 32, 6]


def test_metrics_are_those_of_a_second_look(prepared_digits):
    """Test accuracy and loss recomputed with scikit-learn from the network's own outputs."""
    import numpy as np
    from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score

    digits = data.open_prepared(prepared_digits / "digits", "digits")
    hyper = Recipe(**(SMALL | {"test_images": None})).resolved("batch_norm", "tiny_vgg")
    trainer = Trainer(model("batch_norm"), digits, hyper, epochs=1, seed=1, device=CPU)
    trainer.run()
    trainer.model.eval()
    with torch.no_grad():
        x, y = trainer.test.plain(0, 360)
        probabilities = trainer.model(x).double().softmax(1).numpy()
    row, labels = trainer.rows[-1], np.arange(10)
    assert row["test_top1"] == accuracy_score(y, probabilities.argmax(1))
    assert row["test_top5"] == top_k_accuracy_score(y, probabilities, k=5, labels=labels)
    assert abs(row["test_loss"] - log_loss(y, probabilities, labels=labels)) < 1e-4


def test_bfloat16_leaves_weights_and_statistics_in_float32(prepared_digits):
    """After one step the first layer has seen the same images: its statistics are the same to the last bit."""
    digits = data.open_prepared(prepared_digits / "digits", "digits")
    seen, buffers = {}, {}
    for precision in ("tf32", "bfloat16"):
        recipe = SMALL | {"train_images": 32, "precision": precision}
        trainer = Trainer(model("deconv"), digits, Recipe(**recipe).resolved("deconv", "tiny_vgg"), 1, 1, CPU)
        layers = [m for m in trainer.model.modules() if isinstance(m, DeconvConv2d)]
        out = seen.setdefault(precision, [])
        layers[1].register_forward_hook(lambda _, args, result, out=out: out.append((args[0].dtype, result.dtype)))
        trainer.run()
        assert {t.dtype for t in trainer.model.state_dict().values() if t.is_floating_point()} == {torch.float32}
        buffers[precision] = [layers[0].running_mean, layers[0].running_deconv]
    assert set(seen["tf32"]) == {(torch.float32, torch.float32)}
    assert set(seen["bfloat16"]) == {(torch.bfloat16, torch.bfloat16)}
    assert all(map(torch.equal, buffers["tf32"], buffers["bfloat16"]))


@pytest.mark.cuda
@pytest.mark.parametrize("norm", ["batch_norm", "deconv"])
def test_the_steps_of_an_epoch_never_wait_for_the_gpu(prepared_digits, norm):
    digits = data.open_prepared(prepared_digits / "digits", "digits")
    hyper = Recipe(**(SMALL | {"train_images": 320})).resolved(norm, "tiny_vgg")
    trainer = Trainer(model(norm), digits, hyper, epochs=2, seed=1, device=torch.device("cuda"))
    for batch in trainer._batches():  # the first steps read the layers' counts, which were put on the device
        trainer._train_step(batch)
    trainer.epoch, trainer.step = 2, 0
    batches = trainer._batches()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in batches:
            trainer._train_step(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert trainer.step == trainer.steps == 10


@pytest.mark.parametrize("choice", ["dataset", "none", {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}])
def test_the_recipe_decides_the_input_normalisation(prepared_digits, choice):
    digits = data.open_prepared(prepared_digits / "digits", "digits")
    hyper = Recipe(**(SMALL | {"normalise": choice})).resolved("batch_norm", "tiny_vgg")
    trainer = Trainer(model("batch_norm"), digits, hyper, 1, 1, CPU)
    mean, std = {"dataset": (digits.mean, digits.std), "none": ((0,) * 3, (1,) * 3)}.get(str(choice), (0, 0))
    if isinstance(choice, dict):
        mean, std = choice["mean"], choice["std"]
    pixels = torch.from_numpy(digits.test.images[:4]).double() / 255
    expected = (pixels - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    torch.testing.assert_close(trainer.test.plain(0, 4)[0].double(), expected, rtol=1e-5, atol=1e-5)


def test_the_published_normalisation_is_that_of_the_original_code(prepared_digits):
    digits = data.open_prepared(prepared_digits / "digits", "digits")
    found = replace(digits, name="cifar10").normalisation("published")
    assert found.mean == (0.4914, 0.4822, 0.4465) and found.std == (0.2023, 0.1994, 0.2010)
    with pytest.raises(RenormError, match="nothing was published for digits"):
        digits.normalisation("published")
    with pytest.raises(RenormError, match="2 channels, and digits has 3"):
        digits.normalisation({"mean": [0.5, 0.5], "std": [1.0, 1.0]})
