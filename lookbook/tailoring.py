"""Clothes on a body: each garment of the wardrobe becomes outlines that follow the pose."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from lookbook.canvas import Canvas, Points, ellipse, limb, spline, sweep
from lookbook.fabrics import RGB, Fabric, darker, mix
from lookbook.figure import Body, far_to_near, tube
from lookbook.wardrobe import CROTCH, HIP, WAIST, Garment

_NECKS: Final[dict[str, tuple[float, float]]] = {
    "crew": (9, 146),
    "v": (10, 186),
    "scoop": (17, 170),
    "boat": (30, 145),
    "turtle": (3, 130),
    "collar": (7, 158),
    "bow": (4, 134),
    "hood": (10, 146),
    "straps": (20, 186),
    "lapel": (8, 146),
    "band": (6, 140),
}
"""How far beyond the neck a neckline begins and how deep it reaches in front (units)."""

Side = list[tuple[float, float]]


def _trim(fabric: Fabric, share: float = 0.16) -> Fabric:
    """The same cloth a little darker and without its pattern: ribbing, collars, waistbands."""
    return replace(fabric, colour=darker(fabric.colour, share), pattern="plain", weave="smooth")


def _mirror(body: Body, right: Side, hem_drop: float, neck: Side) -> Points:
    """Outline from one side's points (neck to hem): the other side is its mirror image, joined by hem and neckline."""
    left = [(-x, y) for x, y in right]
    edge = np.array([(-right[-1][0] * k, right[-1][1] + hem_drop * (1 - k * k)) for k in (-0.6, -0.2, 0.2, 0.6)])
    bottom = body.many([(float(x), float(y)) for x, y in edge])
    return np.vstack(
        [
            spline(body.many(right), steps=6),
            bottom,
            spline(body.many(left), steps=6)[::-1],
            spline(body.many(neck), steps=6),
        ]
    )


def _flank(body: Body, g: Garment, hem: float) -> Side:
    """Right side of a torso garment from the armpit to ``hem``: skims the waist, hangs from the hips."""
    loose = min(0.15 + g.ease / 22, 0.9) if g.shape in ("top", "outer") else 0.05
    waist = body.half(WAIST) + (body.half(225) - body.half(WAIST)) * loose + g.ease
    side = [(body.half(195) + g.ease * 0.8, 203.0), (body.half(225) + g.ease, 228.0)]
    for y in (265.0, WAIST, 340.0, HIP, CROTCH + 40, 540.0, 640.0):
        if y > hem - 12:
            break
        tight = waist if y <= WAIST else max(body.half(y) + g.ease * 0.8, waist if loose > 0.3 else 0.0)
        side.append((tight + _flare(g, y, hem), y))
    width = body.half(hem) + g.ease * 0.8 if hem > WAIST else waist
    side.append((max(width, waist if loose > 0.3 else 0.0) + _flare(g, hem, hem), hem))
    return side


def _flare(g: Garment, y: float, hem: float) -> float:
    return g.flare * max(0.0, (y - WAIST) / max(hem - WAIST, 40.0)) ** 0.9 if y > WAIST else 0.0


def _over_legs(body: Body, side: Side) -> Side:
    """The same side, wide enough at the hem to go around both legs."""
    x, hem = side[-1]
    if hem < CROTCH + 20:
        return side
    reach = x
    for leg in (-1, 1):
        line = body.leg_line(leg, 790)
        row = line[np.argmin(np.abs(line[:, 1] - hem))]
        reach = max(reach, leg * (row[0] - body.pose.shift) + row[2] + 4)
    return [(px + (reach - x) * max(0.0, (py - HIP) / (hem - HIP)), py) for px, py in side]


def _shoulders(body: Body, g: Garment) -> tuple[Side, Side]:
    """The right shoulder from the neck to the armpit, and the neckline from left to right."""
    beyond, depth = _NECKS[g.neck]
    if body.pose.back:
        depth = min(depth, 136 if g.neck != "straps" else 200)
    n, s, c = body.neck + beyond, body.shoulder, body.centre(150)
    if g.neck == "straps":
        x = min(body.neck + 24, s - 30)
        top = [(x - 4, 137.0), (x + 3, 138.0), (x + 7, 165.0), (body.half(195) + g.ease * 0.4, 198.0)]
        return top, [
            (-x + 4, 137),
            (-x + 3, 160),
            (c - 14, depth - 8),
            (c, depth - 10),
            (c + 14, depth - 8),
            (x - 3, 160),
            (x - 4, 137),
        ]
    start = 127 + beyond * 0.35
    if g.sleeve == 0.0:
        edge = max(n + 12, s - 24 if g.shape != "outer" else s - 12)
        top = [(n, start), (edge, 139.0), (edge + 1, 165.0), (body.half(195) + g.ease * 0.5, 198.0)]
    else:
        top = [(n, start), (s - 14, 141.0), (s - 1 + g.ease * 0.2, 152.0), (body.half(195) + g.ease * 0.8 + 2, 190.0)]
    pointed = g.neck in ("v", "collar", "lapel") and not body.pose.back
    bow = 0.55 if pointed else 0.94
    neck = [
        (-n, start),
        (c - (n * 0.55), start + (depth - start) * bow),
        (c, depth),
        (c + n * 0.55, start + (depth - start) * bow),
        (n, start),
    ]
    if pointed:
        neck = [(-n, start), (c - 1, depth), (c, depth), (c + 1, depth), (n, start)]
    return top, neck


def _creases(body: Body, g: Garment, hem: float) -> list[Points]:
    """A few soft folds: from the armpits, at the waist, and down from it where the cloth is wide."""
    rng = np.random.default_rng(g.fabric.seed)
    folds = []
    for side in (-1, 1):
        a = body.half(210)
        folds.append(
            spline(
                body.many([(side * a * 0.95, 206), (side * a * 0.7, 222), (side * a * 0.5, 250 + rng.uniform(-8, 8))])
            )
        )
        if g.ease > 6:
            folds.append(
                spline(
                    body.many([(side * a, 268), (side * a * 0.75, 288), (side * a * 0.35, 292 + rng.uniform(-8, 8))])
                )
            )
    if hem > 440:
        drop = hem - WAIST
        for k in np.linspace(-0.75, 0.75, 4 + int(g.flare // 22)):
            k += rng.uniform(-0.08, 0.08)
            x = body.half(WAIST) * k
            spread = 1 + (g.flare + 20) / 50
            folds.append(
                spline(
                    body.many(
                        [(x, WAIST + 0.2 * drop), (x * (1 + spread) / 2, WAIST + 0.6 * drop), (x * spread, hem - 4)]
                    )
                )
            )
    return folds


def sleeve_line(body: Body, side: int, g: Garment) -> Points:
    """Centre line and half width (n, 3) of a sleeve, from close-fitting to balloon."""
    line = body.arm_line(side, g.sleeve)
    t = np.linspace(0, 1, len(line))
    profile = 0.2 + 0.8 * t if g.sleeve < 0.6 else np.interp(t, (0, 0.35, 0.75, 0.92, 1), (0.2, 0.7, 1.1, 0.9, 0.45))
    line[:, 2] += g.volume * profile
    return line


def paint_sleeve(canvas: Canvas, body: Body, side: int, g: Garment) -> None:
    """One sleeve over its arm; nothing for a sleeveless garment."""
    if g.sleeve == 0.0:
        return
    line = sleeve_line(body, side, g)
    folds = []
    if g.sleeve > 0.6:
        elbow = body.arms[side][1]
        inner = elbow + np.array([-side * 12.0, 0])
        folds = [np.array([np.add(inner, (0, dy)), np.add(elbow, (side * 5.0, dy * 2.2 - 3))]) for dy in (-9, 3, 13)]
    canvas.paint(
        tube(line), g.label, g.fabric, roundness=9, relief=0.6, shadow=0.45, folds=folds, joined=[body.yoke(side)]
    )
    s = body.shoulder
    armhole = [(side * (s - 12), 141), (side * (s - 20), 165), (side * (body.half(195) - 6), 198)]
    canvas.line(spline(body.many(armhole)), darker(g.fabric.colour), 1.6, alpha=0.4, within=g.label)
    last = len(line) - 1
    if {"ribbing", "cuffs"} & g.details and g.sleeve > 0.6:
        start = max(0, last - 3)
        cuff = line[start:].copy()
        cuff[:, 2] = line[last, 2] + 0.5
        canvas.paint([sweep(cuff)], g.label, _trim(g.fabric), roundness=5, relief=0.5, shadow=0)
    elif g.sleeve < 0.6 and last > 2:
        end = sweep(line[last - 1 :])
        middle = len(end) // 2
        canvas.line(end[middle - 1 : middle + 1], darker(g.fabric.colour), 1.6, alpha=0.6, within=g.label)


def paint_top(canvas: Canvas, body: Body, g: Garment, *, tucked: bool = False) -> None:
    """The body of a top, dress or romper (its legs too); sleeves come later, over the arms."""
    hem = g.hem
    if tucked:
        hem, g = WAIST + 12, replace(g, ease=min(g.ease, 2.0), flare=0.0)
    if g.shape == "romper":
        hem = CROTCH
    shoulder, neck = _shoulders(body, g)
    flank = _flank(body, replace(g, flare=0.0) if g.shape == "romper" else g, hem)
    if g.shape == "dress":
        flank = _over_legs(body, flank)
    shapes = [_mirror(body, shoulder + flank, 5 if hem < 440 else 8, neck)]
    folds = _creases(body, g, hem)
    if g.shape == "romper":
        shapes += _trouser_legs(body, g)
    if g.neck in ("turtle", "bow"):
        n = body.neck + 4
        shapes.append(
            spline([(-n, 100), (0, 105), (n, 100), (n + 6, 134), (0, 142), (-n - 6, 134)], closed=True, steps=4)
        )
    canvas.paint(shapes, g.label, g.fabric, roundness=15, relief=0.55, shadow=0.4, folds=folds)
    _neck_trim(canvas, body, g, neck)
    if g.shape == "romper":
        _inseam(canvas, body, g)
    _front_details(canvas, body, g, hem)


def _neck_trim(canvas: Canvas, body: Body, g: Garment, neck: Side) -> None:
    seam = darker(g.fabric.colour)
    edge = spline(body.many(neck), steps=6)
    if g.neck in ("crew", "v", "scoop", "boat", "straps"):
        width = 7 if "ribbing" in g.details else 3
        canvas.line(np.add(edge, (0, width / 2)), _trim(g.fabric).colour, width, alpha=0.9, within=g.label)
    elif g.neck == "turtle":
        for k in (-0.6, -0.2, 0.2, 0.6):
            x = k * (body.neck + 4)
            canvas.line(np.array([(x, 103), (x * 1.1, 136)]), seam, 1.4, alpha=0.35, within=g.label)
    if body.pose.back:
        return
    c = body.centre(150)
    if g.neck == "collar":
        for side in (-1, 1):
            n = side * (body.neck + 5)
            wing = body.many([(n * 0.86, 117), (n + side * 10, 128), (c + side * 30, 165), (c + side * 2, 156)])
            canvas.paint([wing], g.label, _trim(g.fabric, 0.06), roundness=5, relief=0.5, shadow=0.35)
    elif g.neck == "bow":
        for side in (-1, 1):
            loop = [(c, 140), (c + side * 22, 128), (c + side * 34, 140), (c + side * 22, 153)]
            tail = [(c, 140, 4), (c + side * 8, 170, 7), (c + side * 14, 204, 9)]
            canvas.paint(
                [limb(tail), spline(loop, closed=True)], g.label, _trim(g.fabric, 0.08), roundness=5, shadow=0.35
            )
    elif g.neck == "hood":
        for side in (-1, 1):
            n = side * (body.neck + 16)
            roll = [(n * 0.7, 112, 5), (n, 128, 9), (c + side * 22, 150, 8), (c + side * 3, 160, 4)]
            canvas.paint([limb(roll)], g.label, _trim(g.fabric, 0.1), roundness=5, relief=0.6, shadow=0.35)


def _front_details(canvas: Canvas, body: Body, g: Garment, hem: float) -> None:
    seam, label = darker(g.fabric.colour), g.label
    middle = [(body.centre(y), y) for y in (160, 200, 250, WAIST, 350, HIP, CROTCH) if y < hem]
    if "ribbing" in g.details and hem > WAIST + 45:
        half = _flank(body, g, hem)[-1][0]
        for y, alpha in ((hem - 14, 0.55), (hem - 12, 0.3)):
            canvas.line(
                spline(body.many([(-half - 9, y), (0, y + 5), (half + 9, y)])), seam, 1.6, alpha=alpha, within=label
            )
        for k in np.linspace(-0.95, 0.95, 17):
            canvas.line(body.many([(k * half, hem - 12), (k * half, hem + 6)]), seam, 1.3, alpha=0.35, within=label)
    elif hem < 470 and g.shape == "top":
        half = _flank(body, g, hem)[-1][0]
        canvas.line(
            spline(body.many([(-half - 5, hem - 7), (0, hem - 2), (half + 5, hem - 7)])),
            seam,
            1.2,
            alpha=0.5,
            within=label,
        )
    if "sash" in g.details:
        half = body.half(WAIST) + g.ease + 3
        band = spline(
            body.many(
                [
                    (-half, WAIST - 8),
                    (0, WAIST - 4),
                    (half, WAIST - 8),
                    (half, WAIST + 7),
                    (0, WAIST + 11),
                    (-half, WAIST + 7),
                ]
            ),
            closed=True,
            steps=4,
        )
        canvas.paint([band], label, _trim(g.fabric, 0.22), roundness=6, relief=0.5, shadow=0.25)
    elif g.shape in ("dress", "romper"):
        half = body.half(WAIST) + 12
        canvas.line(
            spline(body.many([(-half, WAIST), (0, WAIST + 4), (half, WAIST)])), seam, 1.4, alpha=0.6, within=label
        )
    if body.pose.back:
        return
    if "placket" in g.details or "half placket" in g.details:
        line = middle[:2] if "half placket" in g.details else middle
        line = [(x, y) for x, y in line if y <= (hem if g.shape == "top" else 350)]
        if len(line) > 1:
            canvas.line(body.many([(x + 6, y) for x, y in line]), seam, 1.2, alpha=0.6, within=label)
            for y in np.arange(line[0][1] + 12, line[-1][1], 30):
                canvas.detail(
                    [ellipse(*body.at(body.centre(y), y), 2.3, 2.3)], mix(seam, (250, 246, 238), 0.45), within=label
                )
    if "ruffle" in g.details:
        for side in (-1, 1):
            frill = [(body.centre(y) + side * (10 + 4 * (i % 2)), y) for i, y in enumerate(range(160, 262, 12))]
            canvas.line(spline(body.many(frill)), seam, 2.2, alpha=0.5, within=label)
    if "pocket" in g.details:
        x, y = body.centre(205) + body.half(205) * 0.42, 205
        canvas.line(
            body.many([(x - 13, y), (x + 13, y), (x + 13, y + 28), (x, y + 33), (x - 13, y + 28), (x - 13, y)]),
            seam,
            1.4,
            alpha=0.65,
            within=label,
        )
    if "kangaroo" in g.details:
        c, w = body.centre(350), body.half(350)
        pouch = [
            (c - w * 0.42, 322),
            (c + w * 0.42, 322),
            (c + w * 0.66, 352),
            (c + w * 0.62, 384),
            (c - w * 0.62, 384),
            (c - w * 0.66, 352),
        ]
        canvas.detail([body.many(pouch)], seam, alpha=0.16, within=label)
        canvas.line(body.many([*pouch, pouch[0]]), seam, 1.7, alpha=0.6, within=label)
    if "cords" in g.details and g.neck == "hood":
        for side in (-1, 1):
            c = body.centre(160) + side * 9
            canvas.line(
                spline(body.many([(c, 156), (c + side * 3, 180), (c + side * 2, 206)])),
                mix(seam, (248, 246, 240), 0.75),
                2.6,
                within=label,
            )
    for motif, draw in _MOTIFS.items():
        if motif in g.details:
            draw(canvas, body, g)


def _motif_colours(g: Garment) -> tuple[RGB, RGB]:
    return g.fabric.accent, mix(g.fabric.accent, (238, 150, 90), 0.6)


def _sun(canvas: Canvas, body: Body, g: Garment) -> None:
    first, second = _motif_colours(g)
    x, y = body.at(body.centre(232), 232)
    canvas.detail([ellipse(x, y, 31, 31)], second, within=g.label)
    for k, dy in enumerate((4, 13, 22)):
        canvas.line(np.array([(x - 36, y + dy), (x + 36, y + dy)]), g.fabric.colour, 3.0 + k, within=g.label)
    canvas.line(np.array([(x - 28, y + 42), (x + 28, y + 42)]), first, 5, within=g.label)


def _heart(canvas: Canvas, body: Body, g: Garment) -> None:
    x, y = body.at(body.centre(232), 232)
    t = np.linspace(0, 2 * np.pi, 40)
    heart = np.stack(
        [x + 30 * np.sin(t) ** 3, y - 1.9 * (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))],
        axis=1,
    )
    canvas.detail([heart], _motif_colours(g)[0], within=g.label)


def _mountain(canvas: Canvas, body: Body, g: Garment) -> None:
    first, second = _motif_colours(g)
    x, y = body.at(body.centre(235), 235)
    canvas.detail([ellipse(x + 14, y - 18, 14, 14)], second, within=g.label)
    canvas.detail(
        [np.array([(x - 42, y + 24), (x - 10, y - 26), (x + 6, y), (x + 16, y - 12), (x + 42, y + 24)])],
        first,
        within=g.label,
    )
    canvas.detail(
        [np.array([(x - 17, y - 14), (x - 10, y - 26), (x - 2, y - 13), (x - 9, y - 8)])],
        (248, 246, 240),
        within=g.label,
    )


def _letters(canvas: Canvas, body: Body, g: Garment) -> None:
    first, second = _motif_colours(g)
    rng = np.random.default_rng(g.fabric.seed)
    x, y = body.at(body.centre(225), 225)
    for row, (height, colour) in enumerate(((20, first), (8, second))):
        left = x - 40
        while left < x + 36:
            width = float(rng.uniform(9, 15))
            top = y + row * 26
            stem = np.array([(left, top), (left + 4, top), (left + 4, top + height), (left, top + height)])
            canvas.detail(
                [stem, ellipse(left + width * 0.55, top + height / 2, width * 0.36, height / 2)], colour, within=g.label
            )
            left += width + 4


def _star(canvas: Canvas, body: Body, g: Garment) -> None:
    x, y = body.at(body.centre(230), 230)
    a = np.arange(10) * np.pi / 5 - np.pi / 2
    r = np.where(np.arange(10) % 2 == 0, 34, 14)
    canvas.detail([np.stack([x + r * np.cos(a), y + r * np.sin(a)], axis=1)], _motif_colours(g)[0], within=g.label)


def _bolt(canvas: Canvas, body: Body, g: Garment) -> None:
    first, second = _motif_colours(g)
    x, y = body.at(body.centre(230), 230)
    canvas.detail([ellipse(x, y, 36, 36)], second, within=g.label)
    canvas.detail(
        [
            np.array(
                [(x + 8, y - 30), (x - 17, y + 5), (x - 3, y + 5), (x - 9, y + 31), (x + 17, y - 6), (x + 3, y - 6)]
            )
        ],
        first,
        within=g.label,
    )


_MOTIFS: Final[dict[str, Callable[[Canvas, Body, Garment], None]]] = {
    "sun": _sun,
    "heart": _heart,
    "mountain": _mountain,
    "letters": _letters,
    "star": _star,
    "bolt": _bolt,
}


def paint_hood_behind(canvas: Canvas, g: Garment) -> None:
    """The hood that lies behind the neck, seen from the front."""
    canvas.paint(
        [spline([(-56, 142), (-48, 98), (0, 78), (48, 98), (56, 142)], closed=True)],
        g.label,
        _trim(g.fabric, 0.25),
        roundness=10,
    )


def paint_hood_on_back(canvas: Canvas, body: Body, g: Garment) -> None:
    """The hood, seen from behind."""
    n = body.neck
    hood = [(-n - 18, 122), (0, 114), (n + 18, 122), (n + 26, 158), (0, 208), (-n - 26, 158)]
    canvas.paint(
        [spline(body.many(hood), closed=True)], g.label, _trim(g.fabric, 0.08), roundness=12, relief=0.7, shadow=0.4
    )


def paint_outer(canvas: Canvas, body: Body, g: Garment) -> None:
    """A jacket, coat, vest or cardigan: open in front (a suit's is buttoned), whole from behind."""
    shoulder, neck = _shoulders(body, g)
    flank = _over_legs(body, _flank(body, g, g.hem))
    folds = _creases(body, g, g.hem)
    if body.pose.back:
        canvas.paint(
            [_mirror(body, shoulder + flank, 4, neck)],
            g.label,
            g.fabric,
            roundness=16,
            relief=0.6,
            shadow=0.45,
            folds=folds,
        )
        canvas.line(
            spline(body.many([(0, 140), (0, WAIST), (0, g.hem - 8)])),
            darker(g.fabric.colour),
            1.4,
            alpha=0.45,
            within=g.label,
        )
    else:
        panels = [_panel(body, g, shoulder + flank, side) for side in (-1, 1)]
        canvas.paint(panels, g.label, g.fabric, roundness=15, relief=0.6, shadow=0.5, folds=folds)
        for side in (-1, 1):
            _paint_opening(canvas, body, g, side)
    seam = darker(g.fabric.colour)
    half = flank[-1][0]
    if "ribbing" in g.details:
        for k in np.linspace(-0.97, 0.97, 21):
            canvas.line(
                body.many([(k * half, g.hem - 14), (k * half, g.hem + 3)]), seam, 1.3, alpha=0.4, within=g.label
            )
        canvas.line(body.many([(-half - 6, g.hem - 15), (half + 6, g.hem - 15)]), seam, 1.7, alpha=0.6, within=g.label)
    if "belt" in g.details:
        w = body.half(WAIST) + g.ease + 14
        for y in (WAIST - 9, WAIST + 9):
            canvas.line(body.many([(-w, y), (w, y)]), seam, 1.7, alpha=0.8, within=g.label)
    if "seams" in g.details:
        for y in (178, g.hem - 16):
            canvas.line(
                spline(body.many([(-half - 12, y), (0, y + 4), (half + 12, y)])), seam, 1.7, alpha=0.6, within=g.label
            )


def _gap(body: Body, g: Garment, y: float) -> float:
    """Half width of the opening at height y."""
    if "closed" in g.details:
        return float(np.interp(y, (150, 262, 380, g.hem), (26, -5, -4, 12)))
    chest = body.half(225)
    return float(
        np.interp(
            y, (140, 225, WAIST, g.hem), (body.neck + 2, chest * 0.34, chest * 0.36, chest * 0.46 + g.flare * 0.4)
        )
    )


def _panel(body: Body, g: Garment, outline: Side, side: int) -> Points:
    right = [(side * x, y) for x, y in outline]
    inner = [(body.centre(min(y, HIP)) + side * _gap(body, g, y), y) for y in np.linspace(g.hem + 5, 160, 9)]
    return np.vstack(
        [spline(body.many(right), steps=6), spline(body.many(inner), steps=4), body.many([(side * body.neck, 124)])]
    )


def _paint_opening(canvas: Canvas, body: Body, g: Garment, side: int) -> None:
    seam, label = darker(g.fabric.colour), g.label

    def edge(y: float, inset: float = 0.0) -> tuple[float, float]:
        return body.centre(min(y, HIP)) + side * (_gap(body, g, y) + inset), y

    n = side * (body.neck + 4)
    if g.neck == "lapel":
        low = 262 if "closed" in g.details else 276
        lapel = [
            (n * 0.8, 118),
            (n + side * 9, 126),
            edge(176, 24),
            edge(184, 17),
            edge(192, 30),
            edge(low, 1),
            edge(200),
            edge(160),
        ]
        canvas.paint([body.many(lapel)], label, _trim(g.fabric, 0.1), roundness=6, relief=0.6, shadow=0.4)
    elif g.neck in ("collar", "band"):
        tall = 104 if g.neck == "band" else 112
        wing = [
            (n * 0.95, tall),
            (n + side * 14, 128),
            edge(168, 17 if g.neck == "collar" else 6),
            edge(162),
            edge(146),
        ]
        canvas.paint([body.many(wing)], label, _trim(g.fabric, 0.12), roundness=6, relief=0.6, shadow=0.4)
    if "band" in g.details:
        band = [edge(y, 5) for y in np.linspace(165, g.hem, 8)]
        canvas.line(spline(body.many(band)), _trim(g.fabric, 0.2).colour, 9, alpha=0.9, within=label)
    if "zip" in g.details:
        canvas.line(
            spline(body.many([edge(y, 2.5) for y in np.linspace(165, g.hem, 8)])),
            mix(seam, (196, 196, 200), 0.6),
            3,
            within=label,
        )
    if ("buttons" in g.details or "band" in g.details) and side == 1:
        for y in np.arange(272 if g.neck == "lapel" else 200, min(g.hem - 14, 480), 38 if g.hem < 450 else 56):
            canvas.detail([ellipse(*body.at(*edge(y, 7)), 3.2, 3.2)], mix(seam, (236, 220, 190), 0.35), within=label)
    if "pockets" in g.details:
        y = 352 if g.hem < 470 else 396
        w = body.half(min(y, HIP)) + g.ease
        for dy in (0, 9):
            canvas.line(
                body.many([(side * w * 0.45, y + dy), (side * w * 0.88, y + dy - 4)]),
                seam,
                1.8,
                alpha=0.75,
                within=label,
            )
    if "chest pockets" in g.details:
        x = side * body.half(215) * 0.7
        canvas.line(
            body.many([(x - 12, 208), (x + 12, 208), (x + 12, 232), (x, 238), (x - 12, 232), (x - 12, 208)]),
            seam,
            1.5,
            alpha=0.7,
            within=label,
        )


def _trouser_legs(body: Body, g: Garment) -> list[Points]:
    legs = []
    for side in (-1, 1):
        line = body.leg_line(side, g.hem, g.ease, g.flare)
        legs.append(sweep(line))
    return legs


def _inseam(canvas: Canvas, body: Body, g: Garment) -> None:
    seam = darker(g.fabric.colour, 0.45)
    x, y = body.at(body.centre(HIP) * 0.5, CROTCH + 4)
    canvas.line(np.array([body.at(body.centre(360) * 0.6, 368), (x, y)]), seam, 1.6, alpha=0.45, within=g.label)
    near = far_to_near(body)[1]
    line = body.leg_line(near, g.hem, g.ease, g.flare)
    inner = line[2:, :2] - np.stack([near * line[2:, 2], np.zeros(len(line) - 2)], axis=1)
    canvas.line(np.vstack([[(x, y)], inner[inner[:, 1] > y]]), seam, 2.6, alpha=0.6, within=g.label)


def paint_pants(canvas: Canvas, body: Body, g: Garment, *, high: bool) -> None:
    """Trousers, jeans, leggings or shorts; ``high``: the waistband shows, the top being tucked in."""
    top = WAIST + (4 if high else 22)
    side: Side = [(body.half(y) + g.ease * 0.5 + (2 if y < HIP else 0), y) for y in (top, 345.0, HIP, CROTCH)]
    pelvis = np.vstack(
        [
            spline(body.many(side), steps=5),
            [body.at(0, CROTCH + 16)],
            spline(body.many([(-x, y) for x, y in side]), steps=5)[::-1],
        ]
    )
    folds = []
    for s in (-1, 1):
        knee, hip = body.legs[s][1], body.legs[s][0]
        folds.append(np.array([body.at(s * 4, CROTCH), (hip[0] + s * 18, hip[1] + 14)]))
        folds.append(np.array([body.at(s * 3, CROTCH + 10), (hip[0] + s * 12, hip[1] + 46)]))
        if g.hem > 640 and g.ease > 0:
            folds += [np.array([np.add(knee, (-s * 16, dy)), np.add(knee, (s * 8, dy + 7))]) for dy in (-14, 2, 20)]
    order = far_to_near(body)
    for s in order:
        line = body.leg_line(s, g.hem, g.ease, g.flare)
        canvas.paint([sweep(line)], g.label, g.fabric, roundness=11, relief=0.62, shadow=0.45, folds=folds)
    canvas.paint(
        [pelvis, sweep(body.leg_line(order[1], min(g.hem, 560), g.ease, g.flare))],
        g.label,
        g.fabric,
        roundness=12,
        relief=0.5,
        shadow=0,
        folds=folds,
    )
    _pants_details(canvas, body, g, top)


def _pants_details(canvas: Canvas, body: Body, g: Garment, top: float) -> None:
    seam, label = darker(g.fabric.colour), g.label
    _inseam(canvas, body, g)
    half = body.half(top) + g.ease * 0.5 + 3
    canvas.line(
        spline(body.many([(-half, top + 12), (0, top + 15), (half, top + 12)])), seam, 1.6, alpha=0.65, within=label
    )
    c = body.centre(345)
    jeans, thread = "jeans" in g.details, mix(g.fabric.colour, (222, 164, 92), 0.6)
    for side in (-1, 1):
        w = body.half(350)
        if body.pose.back and (jeans or "slant" in g.details):
            x = side * w * 0.5
            canvas.line(
                body.many([(x - 15, 352), (x + 15, 352), (x + 15, 378), (x, 386), (x - 15, 378), (x - 15, 352)]),
                thread if jeans else seam,
                1.6,
                alpha=0.8,
                within=label,
            )
        elif jeans:
            canvas.line(
                spline(body.many([(c + side * w * 0.38, top + 14), (side * w * 0.6, 352), (side * w * 1.05, 356)])),
                thread,
                1.6,
                alpha=0.85,
                within=label,
            )
        elif {"slant", "crease", "cords"} & g.details:
            canvas.line(
                body.many([(side * w * 0.72, top + 15), (side * (w + 1), 366)]), seam, 1.7, alpha=0.7, within=label
            )
        line = body.leg_line(side, g.hem, g.ease, g.flare)
        if "crease" in g.details:
            canvas.line(line[3:, :2], seam, 1.4, alpha=0.5, within=label)
        if "panel" in g.details:
            edge = line[4:, :2] + np.stack([side * line[4:, 2] * 0.75, np.zeros(len(line) - 4)], axis=1)
            canvas.line(edge, mix(g.fabric.accent, g.fabric.colour, 0.25), 5, within=label)
        if {"turn-ups", "cuffs"} & g.details:
            cuff = line[-3:].copy()
            cuff[:, 2] += 2.5 if "turn-ups" in g.details else 0.5
            lighter = mix(g.fabric.colour, (246, 246, 246), 0.35)
            fabric = replace(g.fabric, colour=lighter) if "turn-ups" in g.details else _trim(g.fabric)
            canvas.paint([sweep(cuff)], label, fabric, roundness=5, shadow=0)
        elif g.hem < 640 and len(line) > 2:
            end = line[-2]
            canvas.line(
                np.array([(end[0] - end[2], end[1]), (end[0] + end[2], end[1])]), seam, 1.3, alpha=0.5, within=label
            )
    if jeans and not body.pose.back:
        canvas.line(
            spline(body.many([(c + 9, top + 14), (c + 9, 372), (c * 0.6, 394)])), thread, 1.5, alpha=0.8, within=label
        )
        canvas.detail([ellipse(*body.at(c, top + 7), 3, 3)], (206, 176, 120), within=label)
    if "rips" in g.details and not body.pose.back:
        x, y = body.legs[1 if body.pose.shift > 0 else -1][1]
        for dy in (-4, 2, 8):
            canvas.line(
                np.array([(x - 11, y + dy), (x + 10, y + dy + 1)]),
                mix(g.fabric.colour, (246, 244, 240), 0.7),
                2.2,
                alpha=0.9,
                within=label,
            )


def paint_skirt(canvas: Canvas, body: Body, g: Garment, *, high: bool) -> None:
    """A skirt from the waist to its hem."""
    top = WAIST + (2 if high else 18)
    side: Side = [(body.half(top) + 3, top)]
    for y in (345.0, HIP, CROTCH + 30, 500.0, 580.0):
        if y < g.hem - 20:
            side.append((body.half(y) + g.ease * 0.7 + _flare(g, y, g.hem), y))
    side.append((body.half(g.hem) + g.ease * 0.7 + g.flare, g.hem))
    side = _over_legs(body, side)
    waist: Side = [(-side[0][0], top), (0, top + 4), side[0]]
    folds = _creases(body, replace(g, ease=0.0), g.hem)[2:]
    canvas.paint([_mirror(body, side, 9, waist)], g.label, g.fabric, roundness=15, relief=0.6, shadow=0.5, folds=folds)
    seam = darker(g.fabric.colour)
    half = side[0][0]
    canvas.line(
        spline(body.many([(-half - 3, top + 12), (0, top + 15), (half + 3, top + 12)])),
        seam,
        1.7,
        alpha=0.65,
        within=g.label,
    )
    if "pleats" in g.details:
        hem = side[-1][0]
        for k in np.linspace(-0.85, 0.85, 11):
            canvas.line(
                body.many([(k * half, top + 14), (k * (half + hem) * 0.5, (top + g.hem) / 2), (k * hem, g.hem + 6)]),
                seam,
                1.9,
                alpha=0.5,
                within=g.label,
            )
