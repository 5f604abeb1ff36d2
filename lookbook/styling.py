"""A whole figure: garments in the order they are put on, and what is worn besides them."""

import numpy as np

from lookbook.canvas import Canvas, ellipse, limb, spline, sweep
from lookbook.fabrics import RGB, Fabric, darker, mix
from lookbook.figure import (
    Body,
    far_to_near,
    head_centre,
    paint_arm,
    paint_hair_behind,
    paint_head,
    paint_legs,
    paint_torso,
)
from lookbook.tailoring import (
    paint_hood_behind,
    paint_hood_on_back,
    paint_outer,
    paint_pants,
    paint_skirt,
    paint_sleeve,
    paint_top,
)
from lookbook.wardrobe import WAIST, Accessories, Garment, Outfit


def paint_figure(canvas: Canvas, body: Body, outfit: Outfit) -> None:
    """Paint a dressed person, from what lies furthest back to what lies nearest."""
    extras, back = outfit.accessories, body.pose.back
    top, outer = outfit.of("top", "dress", "romper"), outfit.of("outer")
    lower = outfit.of("pants", "skirt")
    hooded = top is not None and top.neck == "hood"
    if not back:
        paint_hair_behind(canvas, body)
        if top is not None and hooded:
            paint_hood_behind(canvas, top)
    paint_legs(canvas, body)
    paint_torso(canvas, body)
    legs = outfit.of("pants", "romper")
    over_trousers = extras.shoes == "boots" and (legs is None or legs.ease < 4 or legs.hem < 700)
    _paint_socks(canvas, body, extras)
    if not over_trousers:
        _paint_shoes(canvas, body, extras)

    def paint_lower() -> None:
        if lower is not None:
            (paint_pants if lower.shape == "pants" else paint_skirt)(canvas, body, lower, high=outfit.tucked)

    if not outfit.tucked:
        paint_lower()
    if top is not None:
        paint_top(canvas, body, top, tucked=outfit.tucked)
    if outfit.tucked:
        paint_lower()
        if extras.belt and lower is not None and lower.label != "leggings":
            _paint_belt(canvas, body, extras.belt)
    if over_trousers:
        _paint_shoes(canvas, body, extras)
    if not back:
        if extras.necklace and top is not None and top.neck in ("crew", "v", "scoop", "boat", "straps"):
            _paint_necklace(canvas, body)
        if extras.tie:
            _paint_tie(canvas, body, extras.tie)
    if outer is not None:
        paint_outer(canvas, body, outer)
    if top is not None and hooded and back:
        paint_hood_on_back(canvas, body, top)
    if extras.bag == "crossbody":
        _paint_crossbody(canvas, body, extras.bag_colour)
    for side in (-1, 1):
        _paint_dressed_arm(canvas, body, side, top, outer, extras)
    if extras.bag in ("tote", "handbag"):
        _paint_held_bag(canvas, body, extras)
    paint_head(canvas, body, None if back else extras.glasses, extras.earrings)
    if extras.scarf:
        _paint_scarf(canvas, body, extras.scarf)
    if extras.hat:
        _paint_hat(canvas, body, extras.hat, extras.hat_colour)


def _paint_dressed_arm(
    canvas: Canvas, body: Body, side: int, top: Garment | None, outer: Garment | None, extras: Accessories
) -> None:
    paint_arm(canvas, body, side)
    covered = max((g.sleeve for g in (top, outer) if g is not None), default=0.0)
    if top is not None and (outer is None or outer.sleeve < top.sleeve):
        paint_sleeve(canvas, body, side, top)
    if outer is not None:
        paint_sleeve(canvas, body, side, outer)
    if extras.watch and side == 1 and covered < 0.8 and body.pose.arms[1] not in ("pocket", "hip"):
        _, elbow, wrist, _ = body.arms[side]
        along = (wrist - elbow) / np.linalg.norm(wrist - elbow)
        spot = wrist - along * 9
        strap = limb([(*(spot - along * 3.5), 10.5 * body.thick), (*(spot + along * 3.5), 10 * body.thick)])
        canvas.paint([strap], "wrist wearing", Fabric((70, 52, 44)), roundness=4, shadow=0)
        canvas.detail([ellipse(spot[0], spot[1], 5, 5)], (232, 220, 190))


def _paint_socks(canvas: Canvas, body: Body, extras: Accessories) -> None:
    if extras.socks is None:
        return
    for side in far_to_near(body):
        line = body.leg_line(side, 790)
        sock = line[line[:, 1] > body.legs[side][2, 1] - 62].copy()
        sock[:, 2] += 1.2
        canvas.paint([sweep(sock)], "socks", Fabric(extras.socks), roundness=6, shadow=0.1)


def _paint_shoes(canvas: Canvas, body: Body, extras: Accessories) -> None:
    kind, leather = extras.shoes, Fabric(extras.shoe_colour)
    sole: RGB = (240, 238, 232) if kind == "sneakers" else darker(extras.shoe_colour, 0.5)
    t = body.thick
    for side in far_to_near(body):
        x, y = body.legs[side][2]
        toe = x + side * 9 * (1 - abs(body.pose.turn)) + 22 * body.pose.turn * (0.0 if body.pose.back else 1.0)
        middle, low = (x + toe) / 2, y + (28 if body.pose.back else 38)
        foot = [
            (x - 10 * t, y + 4),
            (x + 10 * t, y + 4),
            (middle + 13 * t, y + 22),
            (toe + 15 * t, low - 3),
            (toe, low + 3),
            (toe - 15 * t, low - 3),
            (middle - 13 * t, y + 22),
        ]
        outline = spline(foot, closed=True, steps=5)
        if kind in ("pumps", "flats"):
            canvas.paint([outline], "skin", Fabric(body.person.skin), roundness=6, shadow=0.2)
            vamp = spline(
                [
                    (toe - 15 * t, low - 12),
                    (toe, low - 8),
                    (toe + 15 * t, low - 12),
                    (toe + 14 * t, low),
                    (toe, low + 4),
                    (toe - 14 * t, low),
                ],
                closed=True,
                steps=5,
            )
            pieces = [outline] if body.pose.back else [vamp]
            if kind == "pumps":
                heel = x - body.pose.turn * 10
                pieces.append(
                    np.array([(heel - 5, low - 6), (heel + 5, low - 6), (heel + 2.5, low + 9), (heel - 2.5, low + 9)])
                )
            canvas.paint(pieces, "footwear", leather, roundness=6, relief=0.7, shadow=0.2)
            continue
        pieces = [outline]
        if kind == "boots":
            line = body.leg_line(side, 790)
            shaft = line[line[:, 1] > y - 70].copy()
            shaft[:, 2] += 4
            pieces.append(sweep(shaft))
        canvas.paint(pieces, "footwear", leather, roundness=7, relief=0.7, shadow=0.25)
        base = spline([(toe - 15 * t, low - 2), (toe, low + 3.5), (toe + 15 * t, low - 2)])
        canvas.line(base, sole, 4.5, label="footwear")
        if kind in ("sneakers", "shoes") and not body.pose.back:
            for k in range(3):
                at = 0.25 + 0.2 * k
                lx, ly = x + (toe - x) * at, y + 8 + 26 * at
                canvas.line(
                    np.array([(lx - 5, ly), (lx + 5, ly)]), mix(sole, extras.shoe_colour, 0.2), 1.6, within="footwear"
                )


def _paint_belt(canvas: Canvas, body: Body, leather: RGB) -> None:
    y, half = WAIST + 9.0, body.half(WAIST + 9) + 4.5
    band = spline(
        body.many([(-half, y - 6), (0, y - 2), (half, y - 6), (half, y + 6), (0, y + 10), (-half, y + 6)]),
        closed=True,
        steps=4,
    )
    canvas.paint([band], "belt", Fabric(leather), roundness=5, relief=0.5, shadow=0.2)
    if not body.pose.back:
        x, y = body.at(body.centre(y), y + 3)
        buckle = np.array([(x - 7, y - 5), (x + 7, y - 5), (x + 7, y + 5), (x - 7, y + 5), (x - 7, y - 5)])
        canvas.line(buckle, (214, 184, 118), 2.2)


def _paint_necklace(canvas: Canvas, body: Body) -> None:
    n, c = body.neck, body.centre(150)
    chain = spline(body.many([(-n, 128), (c - n * 0.5, 150), (c, 160), (c + n * 0.5, 150), (n, 128)]))
    canvas.line(chain, (214, 176, 92), 2.0, label="necklace")
    canvas.paint([ellipse(*body.at(c, 164), 4.5, 5.5)], "necklace", Fabric((228, 190, 104)), roundness=3, shadow=0)


def _paint_tie(canvas: Canvas, body: Body, silk: RGB) -> None:
    c, low = body.centre(150), body.centre(250)
    tie = [(c - 7, 150), (c + 7, 150), (c + 4, 164), (low + 10, 262), (low, 280), (low - 10, 262), (c - 4, 164)]
    canvas.paint(
        [body.many(tie)],
        "tie",
        Fabric(silk, pattern="dots", accent=mix(silk, (255, 255, 255), 0.4), repeat=9),
        roundness=5,
        shadow=0.3,
    )


def _paint_scarf(canvas: Canvas, body: Body, wool: RGB) -> None:
    fabric = Fabric(wool, weave="knit", accent=mix(wool, (250, 246, 238), 0.6), pattern="stripes", repeat=26)
    n = body.neck + 14
    wrap = [(-n, 112), (0, 118), (n, 112), (n + 9, 138), (0, 158), (-n - 9, 138)]
    pieces = [spline(body.many([(x, float(y)) for x, y in wrap]), closed=True)]
    if not body.pose.back:
        pieces.append(
            limb(
                body.many([(12, 146), (18, 200), (16, 268)]).tolist()
                and [(*body.at(12, 146), 12), (*body.at(18, 200), 16), (*body.at(16, 268), 15)]
            )
        )
    canvas.paint(pieces, "neckwear", fabric, roundness=9, relief=0.7, shadow=0.4)


def _paint_crossbody(canvas: Canvas, body: Body, leather: RGB) -> None:
    side = -1 if body.pose.arms[1] == "down" else 1
    half = body.half(HIP_LINE) + 6
    strap = spline(body.many([(-side * (body.neck + 22), 133), (0, 230), (side * half * 0.9, HIP_LINE - 16)]))
    canvas.line(strap, darker(leather, 0.2), 4.5, label="bag")
    x, y = body.at(side * half * 0.85, HIP_LINE)
    _paint_bag(canvas, x, y, 27, 20, leather)


HIP_LINE = 372.0


def _paint_held_bag(canvas: Canvas, body: Body, extras: Accessories) -> None:
    side = next((s for s in (-1, 1) if body.pose.arms[0 if s < 0 else 1] in ("down", "away")), 0)
    if side == 0:
        return
    _, _, wrist, tip = body.arms[side]
    x, y = (wrist * 0.4 + tip * 0.6).tolist()
    width, height, drop = (36, 34, 46) if extras.bag == "tote" else (30, 22, 24)
    strap = spline(
        [
            (x - width * 0.55, y + drop),
            (x - width * 0.3, y + 6),
            (x, y - 3),
            (x + width * 0.3, y + 6),
            (x + width * 0.55, y + drop),
        ]
    )
    canvas.line(strap, darker(extras.bag_colour, 0.25), 3.6, label="bag")
    _paint_bag(canvas, x, y + drop + height - 2, width, height, extras.bag_colour)


def _paint_bag(canvas: Canvas, x: float, y: float, width: float, height: float, leather: RGB) -> None:
    box = [
        (x - width * 0.85, y - height),
        (x + width * 0.85, y - height),
        (x + width, y + height),
        (x - width, y + height),
    ]
    outline = spline(
        [p for a, b in zip(box, box[1:] + box[:1], strict=True) for p in (a, ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2))],
        closed=True,
        steps=4,
    )
    canvas.paint([outline], "bag", Fabric(leather), roundness=8, relief=0.6, shadow=0.4)
    canvas.line(
        spline([(x - width * 0.86, y - height * 0.5), (x, y - height * 0.1), (x + width * 0.86, y - height * 0.5)]),
        darker(leather),
        1.8,
        alpha=0.7,
        within="bag",
    )
    canvas.detail([ellipse(x, y - height * 0.1, 3, 3)], (222, 192, 124), within="bag")


def _paint_hat(canvas: Canvas, body: Body, kind: str, felt: RGB) -> None:
    x, y = head_centre(body)
    fabric, band = Fabric(felt), Fabric(darker(felt, 0.25))
    if kind == "beanie":
        knit = Fabric(felt, weave="rib")
        canvas.paint(
            [
                spline(
                    [(x - 43, y - 16), (x - 40, y - 52), (x, y - 74), (x + 40, y - 52), (x + 43, y - 16), (x, y - 24)],
                    closed=True,
                )
            ],
            "headwear",
            knit,
            roundness=10,
            relief=0.7,
        )
        canvas.paint(
            [limb([(x - 43, y - 18, 8), (x, y - 27, 9), (x + 43, y - 18, 8)])],
            "headwear",
            Fabric(darker(felt, 0.1), weave="rib"),
            roundness=5,
        )
        return
    crown = spline(
        [(x - 41, y - 18), (x - 39, y - 50), (x, y - 70), (x + 39, y - 50), (x + 41, y - 18), (x, y - 28)], closed=True
    )
    canvas.paint([crown], "headwear", fabric, roundness=11, relief=0.7)
    if kind == "brim":
        canvas.line(spline([(x - 41, y - 26), (x, y - 36), (x + 41, y - 26)]), band.colour, 9, within="headwear")
        brim = spline(
            [
                (x - 82, y - 10),
                (x - 40, y - 28),
                (x, y - 32),
                (x + 40, y - 28),
                (x + 82, y - 10),
                (x + 40, y - 15),
                (x, y - 19),
                (x - 40, y - 15),
            ],
            closed=True,
        )
        canvas.paint([brim], "headwear", fabric, roundness=6, relief=0.6, shadow=0.5)
    elif not body.pose.back:
        reach = 16 * body.pose.turn
        peak = spline(
            [
                (x - 34 + reach, y - 22),
                (x + reach, y - 33),
                (x + 34 + reach, y - 22),
                (x + 30 + reach, y - 9),
                (x + reach, y - 15),
                (x - 30 + reach, y - 9),
            ],
            closed=True,
        )
        canvas.paint([peak], "headwear", band, roundness=5, relief=0.6, shadow=0.5)
