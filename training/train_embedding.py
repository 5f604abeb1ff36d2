"""Train the house embedding `modiste_s`: EfficientNet-lite0 and lite2 with a learnt projection.

From the repository root, after training/garment_crops.py:

    python training/train_embedding.py --crops DIR/crops.npz --out DIR

The encoders' last blocks and convolution are fine-tuned together with the projection, which starts at a PCA. Of every
garment two views are compared, by supervised contrastive losses: over the product, where it has several photos, over
the kind of garment, and over the photo itself; a last term keeps the similarities of the ImageNet vectors. Only
garments of one domain (studio photos, single garments, worn ones) are compared. The weights shipped lie on the way from
where they started to what they learnt. Everything is measured on a shop, on photographers and on street photos that
were left out. Minutes on a GPU, hours on two processor cores.

DIR gets modiste_s.onnx, modiste_s.toml, embedding.log and embedding.pt, what learns as it was before and after.
"""

from __future__ import annotations

import argparse
import copy
import math
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from embedding_network import LEARNING, SHAPE, Features, Head, HouseEmbedding, Trunk
from garment_masks import is_test
from lite import MEAN, STD, export_onnx, write_entry
from PIL import Image
from pytorch_metric_learning.losses import SupConLoss
from torch import Tensor
from torch.nn import functional

SIDE = 224
DOMAINS = {"luma": 0.0, "garments": 0.15, "worn": 0.15}
"""What it learns from, and the share of its sources that are left out of it."""
SHOP = "madison"
"""The shop that it never learns from."""
BATCH = 64
"""Garments of each domain, in two views each, that a step sees."""
HEAD_RATE, ENCODER_RATE = 1e-3, 2e-4
BLEND = 0.7
"""How far the weights shipped lie from where they started to what they learnt. Less than all the way keeps nearly all
that was gained on the kinds that were taught, and more of what ImageNet knew of others (Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models", arXiv 2109.01903)."""
BLENDS = (0.3, 0.5, 0.7, 1.0)
"""All that are measured."""
RARE = ("Skirt", "Hat", "skirt", "headwear", "Skirts")
"""The kinds that are left out of a second training, to see what it does to garments that it was never taught."""
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class Garments:
    """Crops of one domain, uint8 (n, 3, SIDE, SIDE), and of each its kind, product, colour and source (n,)."""

    photos: Tensor
    kind: np.ndarray
    product: np.ndarray
    colour: np.ndarray
    source: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Garments:
        words = (self.kind, self.product, self.colour, self.source)
        return Garments(self.photos[torch.from_numpy(chosen)], *(word[chosen] for word in words))


def read(path: Path) -> dict[str, Garments]:
    """The crops by domain; a photo that a product has twice counts once."""
    with np.load(path) as file:
        kept = {name: file[name] for name in file.files}
    starts, found = np.r_[0, kept["ends"][:-1]], {}
    for domain in (*DOMAINS, SHOP):
        once: dict[tuple[str, bytes], tuple[int, np.ndarray]] = {}
        for row in np.flatnonzero(kept["domain"] == domain):
            with Image.open(BytesIO(kept["photos"][starts[row] : kept["ends"][row]].tobytes())) as photo:
                small = np.asarray(photo.convert("L").resize((8, 8), Image.Resampling.BOX)) // 16
                once.setdefault((str(kept["source"][row]), small.tobytes()), (row, np.asarray(photo)))
        rows = np.array([row for row, _ in once.values()])
        photos = torch.from_numpy(np.stack([photo for _, photo in once.values()])).permute(0, 3, 1, 2).contiguous()
        found[domain] = Garments(photos, *(kept[name][rows] for name in ("kind", "product", "colour", "source")))
    return found


def normalised(photos: Tensor) -> Tensor:
    """Photos uint8 (n, 3, h, w) as the networks read them."""
    return ((photos.to(DEVICE).float() / 255 - MEAN) / STD).contiguous(memory_format=torch.channels_last)


def view(photos: Tensor, random: torch.Generator) -> Tensor:
    """Normalised photos (n, 3, h, w) turned, flipped, closer, in other light, half of them with other hues."""

    def between(low: float, high: float) -> Tensor:
        return (torch.rand(len(photos), generator=random) * (high - low) + low).to(photos.device)

    size, stretch, turn = between(0.4, 1).sqrt(), between(-0.2, 0.2).exp(), between(-0.15, 0.15)
    wide, high = (size * stretch).clamp(max=1.1), (size / stretch).clamp(max=1.1)
    flip = between(-1, 1).sign()
    right, down = between(-1, 1) * (1 - wide).clamp(min=0), between(-1, 1) * (1 - high).clamp(min=0)
    across = torch.stack([wide * flip * turn.cos(), -high * turn.sin(), right], 1)
    along = torch.stack([wide * flip * turn.sin(), high * turn.cos(), down], 1)
    grid = functional.affine_grid(torch.stack([across, along], 1), list(photos.shape), align_corners=False)
    rgb = functional.grid_sample(photos, grid, padding_mode="border", align_corners=False) * STD + MEAN

    grey = (rgb * rgb.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    angle = between(-math.pi, math.pi) * (between(0, 1) < 0.5)
    axis = torch.full((3,), 3**-0.5, device=rgb.device)
    across_axis = rgb.new_tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * 3**-0.5
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    rotation = cos * torch.eye(3, device=rgb.device) + sin * across_axis + (1 - cos) * torch.outer(axis, axis)
    chroma = torch.einsum("nij,njhw->nihw", rotation, rgb - grey) * between(0.2, 1.4)[:, None, None, None]
    gamma, light = between(-0.5, 0.5).exp(), between(0.75, 1.25)
    lit = (grey + chroma).clamp(0, 1) ** gamma[:, None, None, None] * light[:, None, None, None]
    return ((lit.clamp(0, 1) - MEAN) / STD).contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def seen(network: torch.nn.Module, photos: Tensor) -> Tensor:
    """What a network makes of photos uint8 (n, 3, SIDE, SIDE), on the CPU."""
    return torch.cat([network(normalised(part)).float().cpu() for part in photos.split(200)])


def pca(x: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Centre (m,) and projection (m, dim), without whitening, of rows of length one."""
    centre = x.mean(0)
    return centre, np.linalg.eigh(np.cov((x - centre).T))[1][:, : -dim - 1 : -1].astype(np.float32)


def numbered(words: np.ndarray) -> Tensor:
    """Words as numbers."""
    return torch.from_numpy(np.unique(words, return_inverse=True)[1])


def drawn(garments: Garments, rng: np.random.Generator) -> np.ndarray:
    """The rows of a step: two photos each of BATCH products, or BATCH garments, rare kinds oftener than they are."""
    if (garments.product != "").all():
        products = rng.permutation(np.unique(garments.product))[:BATCH]
        rows = (np.flatnonzero(garments.product == product) for product in products)
        return np.concatenate([rng.permutation(each)[:2] for each in rows])
    kind = numbered(garments.kind).numpy()
    share = np.bincount(kind)[kind] ** -0.5
    return rng.choice(len(kind), BATCH, replace=False, p=share / share.sum())


def train_head(domains: list[Garments], trunk: Trunk, given: argparse.Namespace) -> tuple[Head, Head]:
    """A head as it starts, with ImageNet's weights and a PCA of their features, and trained, both on the CPU."""
    rng, random = np.random.default_rng(given.seed), torch.Generator().manual_seed(given.seed)
    torch.manual_seed(given.seed)
    usual = Features().to(DEVICE, memory_format=torch.channels_last).eval()
    before = torch.cat([seen(torch.nn.Sequential(trunk, usual), domain.photos) for domain in domains])
    start = Head(*pca(functional.normalize(before).numpy(), SHAPE)).eval()
    middle = functional.normalize(before).mean(0).to(DEVICE)
    head = copy.deepcopy(start).to(DEVICE, memory_format=torch.channels_last).train()
    photos = [domain.photos.to(DEVICE) for domain in domains]
    labels = [(numbered(domain.kind).to(DEVICE), numbered(domain.product).to(DEVICE)) for domain in domains]
    optimiser = torch.optim.AdamW(
        [
            {"params": head.linear.parameters(), "lr": HEAD_RATE},
            {"params": head.features.parameters(), "lr": ENCODER_RATE},
        ],
        weight_decay=1e-3,
    )
    rates = [HEAD_RATE, ENCODER_RATE]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=given.steps, pct_start=0.1)
    alike, same = SupConLoss(temperature=0.1), SupConLoss(temperature=0.07)
    for step in range(given.steps):
        rows = [torch.from_numpy(drawn(domain, rng)).to(DEVICE) for domain in domains]
        plain = normalised(torch.cat([each[row] for each, row in zip(photos, rows, strict=True)]))
        both = torch.stack([view(plain, random), view(plain, random)], 1).flatten(0, 1)
        with torch.autocast(DEVICE, torch.bfloat16):
            with torch.no_grad():
                maps = trunk(both)
                known = functional.normalize(functional.normalize(usual(maps).float()) - middle)
            found = head(maps).float()
        loss, at = found.new_zeros(()), 0
        for row, (kind, product) in zip(rows, labels, strict=True):
            part = slice(at, at := at + 2 * len(row))
            mine, its = found[part], known[part]
            photo = torch.arange(len(row), device=DEVICE).repeat_interleave(2)
            loss = loss + given.keep * (mine @ mine.T - its @ its.T).square().mean()
            loss = loss + alike(mine, kind[row].repeat_interleave(2)) + given.view * alike(mine, photo)
            if product.any():
                loss = loss + given.product * same(mine, product[row].repeat_interleave(2))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 49:
            print(f"step {step + 1} of {given.steps}, loss {loss.item():.3f}", flush=True)
    return start, head.eval().cpu()


def blended(heads: tuple[Head, Head], share: float) -> Head:
    """A head that lies `share` of the way from the first to the second."""
    between = copy.deepcopy(heads[0])
    with torch.no_grad():
        for weight, learnt in zip(between.parameters(), heads[1].parameters(), strict=True):
            weight.lerp_(learnt, share)
    return between


def judged(x: Tensor, of: Garments, among: np.ndarray | None = None) -> str:
    """Of vectors (n, dim), in percent: how often the nearest is of the same product, and how many of the five nearest
    of another source are of the same kind; `among` are the rows whose neighbours count."""
    unit = functional.normalize(x).numpy()
    alike = unit @ unit.T
    np.fill_diagonal(alike, -np.inf)
    same = of.source[:, None] == of.source
    near = np.argsort(-np.where(same, -np.inf, alike), 1)[:, :5]
    kind = 100 * (of.kind[near] == of.kind[:, None]).mean(1)[slice(None) if among is None else among].mean()
    if not (of.product != "").all():
        return f"kind {kind:.1f}"
    several = same.sum(1) > 1
    first = 100 * (of.source[alike.argmax(1)] == of.source)[several].mean()
    return f"product {first:.1f}, kind {kind:.1f}"


def main() -> None:
    """Train, measure on what was left out, and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=Path, required=True, help="what garment_crops.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--product", type=float, default=1.0, help="weight of the loss over products")
    parser.add_argument("--view", type=float, default=0.3, help="weight of the loss over views of one photo")
    parser.add_argument("--keep", type=float, default=4.0, help="weight of the term that keeps ImageNet's similarities")
    parser.add_argument("--seed", type=int, default=42)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    log = (given.out / "embedding.log").open("a")

    def say(text: str) -> None:
        print(text, flush=True)
        print(text, file=log, flush=True)

    crops = read(given.crops)
    left = {
        name: np.array([is_test(source, share) for source in crops[name].source]) for name, share in DOMAINS.items()
    }
    taught = [crops[name][~left[name]] for name in DOMAINS]
    judging = {SHOP: crops[SHOP]} | {name: crops[name][rest] for name, rest in left.items() if rest.any()}
    trunk = Trunk().to(DEVICE, memory_format=torch.channels_last).eval()
    say(f"{[len(part.kind) for part in taught]} crops of {[*DOMAINS]}, {given}, {LEARNING} blocks, {SHAPE} dimensions")

    heads = train_head(taught, trunk, given)
    torch.save([part.half().state_dict() for part in copy.deepcopy(heads)], given.out / "embedding.pt")
    bare = train_head([part[~np.isin(part.kind, RARE)] for part in taught], trunk, given)
    single = crops["garments"]
    rare = np.isin(single.kind, RARE)

    def line(name: str, network: torch.nn.Module, untaught: torch.nn.Module) -> str:
        cells = [f"{kind}: {judged(seen(network, part.photos), part)}" for kind, part in judging.items()]
        never = judged(seen(untaught, single.photos), single, rare)
        return f"{name}: {'; '.join(cells)}; never taught: {never}"

    features = torch.nn.Sequential(trunk, copy.deepcopy(heads[0].features).to(DEVICE)).eval()
    say(line("lite0 and lite2", features, features))
    for share in BLENDS:
        networks = [torch.nn.Sequential(trunk, blended(each, share).to(DEVICE)).eval() for each in (heads, bare)]
        say(line(f"modiste_s, blend {share}", *networks))
    export(blended(heads, BLEND), given.out)


def export(head: Head, folder: Path) -> None:
    """Write modiste_s.onnx and modiste_s.toml into `folder`."""
    path = folder / "modiste_s.onnx"
    digest = export_onnx(HouseEmbedding(head).eval(), path, SIDE, SIDE, "embedding")
    entry = {
        "kind": "backbone",
        "file": path.name,
        "sha256": digest,
        "input": "photo",
        "output": "embedding",
        "width": SIDE,
        "height": SIDE,
        "resize": 256,
        "crop": "garment",
        "mean": [MEAN] * 3,
        "std": [STD] * 3,
        "dim": SHAPE,
        "licence": "Apache-2.0",
        "origin": "EfficientNet-lite0 and lite2 (ImageNet-1K), their last layers fine-tuned with a projection by "
        "training/train_embedding.py on CC0 garment photos, Clothing Co-Parsing masks and Luma's studio photos",
    }
    write_entry(folder / "modiste_s.toml", entry)


if __name__ == "__main__":
    main()
