"""Train the garment parser and write it as ONNX.

From the repository root, on two CPU cores or on a GPU as it is:

    python training/garment_masks.py --data ../shared/data --out DIR
    python training/train_parser.py --data ../shared/data --out DIR --minutes 90

DIR/parser.log has a line per epoch, DIR/parser.pt the state after each (`--resume` goes on from it), and at the end
DIR/garment_parser.onnx and DIR/garment_parser.toml. The weights that help rare labels to be learnt also make them be
found too often; so at the end a constant per label, chosen on the check part, is added to the logits.
"""

from __future__ import annotations

import argparse
import copy
import queue
import threading
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from evaluate_parser import binary_iou, confusion, group_iou
from lite import MEAN, STD, export_onnx, fold_batch_norms, write_entry
from parser_data import IGNORED, Sample, Stream, read_garments, read_street, street_names
from parser_network import BODY, GROUP_OF, GROUPS, LABELS, PALETTE, GarmentParser, enlarged
from torch import Tensor, nn
from torch.nn import functional

HEIGHT, WIDTH = 384, 256
SMALL = (288, 192)
"""(height, width) of the photos in the first part of the training, which sees more of them in the same time."""


def normalise(photos: np.ndarray, device: torch.device) -> Tensor:
    """RGB uint8 (n, h, w, 3) to what the network reads: float32 (n, 3, h, w), channels last in memory."""
    x = torch.from_numpy(photos).to(device).permute(0, 3, 1, 2).float()
    return ((x / 255 - MEAN) / STD).contiguous(memory_format=torch.channels_last)


def label_weights(street: list[Sample]) -> Tensor:
    """Cross-entropy weights (labels,): rare labels count more, by the 0.35th power of rarity, between 0.5 and 3."""
    counts = sum(np.bincount(sample.labels.ravel(), minlength=256)[: len(LABELS)] for sample in street)
    share = counts / counts.sum()
    return torch.from_numpy(np.clip((0.03 / share) ** 0.35, 0.5, 3)).float()


def loss_of(logits: Tensor, labels: Tensor, weights: Tensor, merge: Tensor) -> Tensor:
    """Weighted cross-entropy over the labels plus the soft dice loss over the ten groups present in the batch.

    Every fourth pixel is enough for the latter.
    """
    entropy = functional.cross_entropy(logits, labels, weights, ignore_index=IGNORED)
    labels = labels[:, ::2, ::2]
    known = (labels != IGNORED).flatten()
    merged = logits[:, :, ::2, ::2].softmax(1).permute(0, 2, 3, 1).reshape(-1, len(LABELS))[known] @ merge
    truth = merge[labels.flatten()[known]]
    size = truth.sum(0)
    dice = 2 * (merged * truth).sum(0) / (merged.sum(0) + size + 1)
    return entropy + (1 - dice)[size > 50].mean()


def presence_loss(present: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of which labels cover more than a thousandth of each photo."""
    share = functional.one_hot(labels.flatten(1).clamp(max=len(LABELS)), len(LABELS) + 1).float().mean(1)
    return functional.binary_cross_entropy_with_logits(present, (share[:, :-1] > 0.001).float())


def confusion_of(network: nn.Module, samples: list[Sample], device: torch.device) -> np.ndarray:
    """(labels, labels) pixel counts, given label by found label, at the network's size."""
    total = np.zeros((len(LABELS), len(LABELS)), np.int64)
    for sample in samples:
        photo = cv2.resize(sample.photo, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        truth = cv2.resize(sample.labels, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
        with torch.inference_mode():
            found = network(normalise(photo[None], device)).argmax(1)[0].cpu().numpy()
        total += confusion(truth, found)
    return total


def calibrate(network: GarmentParser, samples: list[Sample], device: torch.device) -> float:
    """Add to the logits' constants, in place, what raises the mean IoU of the groups most on `samples`; returns it.

    Each photo counts as it is, mirrored, and a little smaller and larger. One label after another is moved by ±0.4,
    then by ±0.2, as long as it gains more than a thousandth: smaller gains would not carry over to other photos.
    """
    logits, truth = [], []
    for scale, flip in ((1.0, 1), (1.0, -1), (0.85, 1), (1.2, -1)):
        shift = [[WIDTH / 2 * (1 - scale * flip)], [HEIGHT / 2 * (1 - scale)]]
        for sample in samples:
            size = np.diag([WIDTH / sample.labels.shape[1] * scale * flip, HEIGHT / sample.labels.shape[0] * scale])
            warp = partial(cv2.warpAffine, M=np.hstack([size, shift]), dsize=(WIDTH, HEIGHT))
            photo = warp(sample.photo, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
            labels = warp(sample.labels, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
            with torch.inference_mode():
                found = network(normalise(photo[None], device))[0, :, ::2, ::2].flatten(1).T.cpu().numpy()
            known = labels[::2, ::2].ravel() != IGNORED
            logits.append(found[known])
            truth.append(labels[::2, ::2].ravel()[known].astype(np.int64) * len(LABELS))
    scores, given = np.concatenate(logits), np.concatenate(truth)

    def mean_iou(bias: np.ndarray) -> float:
        pairs = np.bincount(given + (scores + bias).argmax(1), minlength=len(LABELS) ** 2)
        return float(group_iou(pairs.reshape(len(LABELS), -1)).mean())

    bias = np.zeros(len(LABELS), np.float32)
    best = mean_iou(bias)
    for step in (0.4, 0.4, 0.2):
        for label in range(len(LABELS)):
            for move in (-step, step):
                moved = bias.copy()
                moved[label] += move
                if (reached := mean_iou(moved)) > best + 0.001:
                    bias, best = moved, reached
    with torch.no_grad():
        network.bias += torch.from_numpy(bias - bias.mean()).to(device)
    return best


def parameter_groups(member: nn.Module) -> list[dict[str, list[nn.Parameter]]]:
    """The pretrained weights, which learn more slowly, and the others."""
    pretrained = list(member.stages.parameters())
    known = {id(p) for p in pretrained}
    return [{"params": pretrained}, {"params": [p for p in member.parameters() if id(p) not in known]}]


def produce(stream: Stream, size: int, shape: list[int], out: queue.Queue[tuple[np.ndarray, np.ndarray]]) -> None:
    """Fill `out` with altered batches of the (height, width) that `shape` holds at the time."""
    for batch in stream.batches(size):
        height, width = shape
        pairs = [stream.alter(sample, height, width) for sample in batch]
        out.put((np.stack([photo for photo, _ in pairs]), np.stack([labels for _, labels in pairs])))


def main() -> None:
    """Train, log and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the test data")
    parser.add_argument("--out", type=Path, required=True, help="folder with the garments' masks; results go there too")
    parser.add_argument(
        "--epochs", type=int, default=20, help="in one, each member sees as many samples as there are street photos"
    )
    parser.add_argument("--minutes", type=float, help="end by then: the schedule follows the clock, not the epochs")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--small-share", type=float, default=0.2, help="share of the training with small photos")
    parser.add_argument("--garment-share", type=float, default=0.22, help="share of photos of a single garment")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--export", action="store_true", help="only write the ONNX file of the state that is there")
    args = parser.parse_args()

    if args.export:
        network = GarmentParser(HEIGHT, WIDTH).eval()
        network.load_state_dict(torch.load(args.out / "parser.pt", weights_only=True)["average"])
        export(network, [read_street(args.data, name) for name in street_names(args.data, "check")], args.out)
        return
    torch.manual_seed(args.seed)
    torch.set_num_threads(2)
    cv2.setNumThreads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    street = [read_street(args.data, name) for name in street_names(args.data, "train")]
    check = [read_street(args.data, name) for name in street_names(args.data, "check")]
    garments = read_garments(args.data, args.out / "garments")
    stream = Stream(street, garments, args.garment_share, args.seed)
    weights = label_weights(street).to(device)
    merge = torch.eye(len(GROUPS))[GROUP_OF].to(device)

    network = GarmentParser(HEIGHT, WIDTH).to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(network).eval()
    rates = [4e-4, 1.5e-3]
    optimisers = [torch.optim.AdamW(parameter_groups(member), lr=1e-3, weight_decay=0.01) for member in network.members]
    state_path = args.out / "parser.pt"
    done_epochs, done_seconds = 0, 0.0
    if args.resume and state_path.exists():
        state = torch.load(state_path, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        done_epochs, done_seconds = state["epochs"], state["seconds"]

    log = (args.out / "parser.log").open("a")
    print(
        f"{len(street)} street and {len(garments)} garment photos, check {len(check)}, {device}", file=log, flush=True
    )
    per_epoch = len(network.members) * len(street) // args.batch
    steps = done_epochs * per_epoch
    started = time.time() - done_seconds
    shape = list(SMALL)
    ready: queue.Queue[tuple[np.ndarray, np.ndarray]] = queue.Queue(maxsize=4)
    threading.Thread(target=produce, args=(stream, args.batch, shape, ready), daemon=True).start()

    progress, losses = 0.0, []
    while progress < 1:
        seconds = time.time() - started
        progress = seconds / 60 / args.minutes if args.minutes else steps / (args.epochs * per_epoch)
        shape[:] = SMALL if progress < args.small_share else (HEIGHT, WIDTH)
        turn = steps % len(network.members)
        member, optimiser, own_steps = network.members[turn], optimisers[turn], steps // len(network.members)
        factor = min(1, (own_steps + 1) / 60) * (0.5 + 0.5 * np.cos(np.pi * min(progress, 1))) + 1e-3
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = float(rate * factor)
        photos, labels = ready.get()
        network.eval()
        member.train()
        member.stages.eval()  # ImageNet's statistics are steadier than those of eight photos
        with torch.autocast(device.type, torch.bfloat16):
            logits, present = network.of_member(normalise(photos, device), turn)
            logits = enlarged(logits)
        truth = torch.from_numpy(labels).to(device).long()
        loss = loss_of(logits.float(), truth, weights, merge) + presence_loss(present.float(), truth)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(member.parameters(), 5.0)
        optimiser.step()
        losses.append(loss.item())
        steps += 1
        decay = min(0.995, (own_steps + 2) / (own_steps + 11))
        with torch.no_grad():
            kept = average.members[turn].state_dict().values()
            for old, new in zip(kept, member.state_dict().values(), strict=True):
                if old.is_floating_point():
                    old.lerp_(new, 1 - decay)
        if steps % per_epoch == 0 or progress >= 1:
            total = confusion_of(average, check, device)
            worn, mean = binary_iou(total, BODY), group_iou(total).mean()
            print(
                f"epoch {steps / per_epoch:.1f}, {(time.time() - started) / 60:.1f} min, height {shape[0]}, "
                f"loss {np.mean(losses):.3f}, check: garment IoU {worn:.3f}, mean IoU of groups {mean:.3f}",
                file=log,
                flush=True,
            )
            losses = []
            state = {"network": network.state_dict(), "average": average.state_dict()}
            state |= {"optimisers": [part.state_dict() for part in optimisers], "epochs": steps // per_epoch}
            torch.save(state | {"seconds": time.time() - started}, state_path)
    log.close()
    export(average.cpu(), check, args.out)


def export(network: GarmentParser, check: list[Sample], folder: Path) -> None:
    """Calibrate the network on the check part; write garment_parser.onnx and garment_parser.toml into `folder`."""
    best = calibrate(network, check, torch.device("cpu"))
    moved = {label: round(value, 2) for label, value in zip(LABELS, network.bias.tolist(), strict=True)}
    print(f"calibrated: mean IoU of groups {best:.3f} on the check part and its copies, {moved}")
    path = folder / "garment_parser.onnx"
    fold_batch_norms(network.eval())
    digest = export_onnx(network, path, HEIGHT, WIDTH, "logits", bits=8)
    entry = {
        "kind": "parser",
        "file": path.name,
        "sha256": digest,
        "input": "photo",
        "output": "logits",
        "width": WIDTH,
        "height": HEIGHT,
        "mean": [MEAN] * 3,
        "std": [STD] * 3,
        "licence": "Apache-2.0",
        "origin": "EfficientNet-lite2 encoder with a feature pyramid, trained by training/train_parser.py on Clothing "
        "Co-Parsing masks and on CC0 garment photos with approximate masks",
        "labels": LABELS,
    }
    write_entry(folder / "garment_parser.toml", entry, PALETTE)


if __name__ == "__main__":
    main()
