"""The person under the clothes: build, pose, limbs, head and hair."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookbook.canvas import Canvas, Points, ellipse, limb, spline, sweep
from lookbook.fabrics import RGB, Fabric, mix
from lookbook.wardrobe import ANKLE, CROTCH, HIP, KNEE, WAIST, Rng, pick

SKINS: Final[tuple[RGB, ...]] = (
    (250, 222, 200),
    (240, 204, 176),
    (226, 182, 148),
    (204, 154, 118),
    (172, 120, 86),
    (134, 90, 64),
    (100, 66, 48),
)
HAIRS: Final[tuple[RGB, ...]] = (
    (38, 32, 34),
    (62, 44, 38),
    (98, 66, 46),
    (142, 96, 60),
    (206, 166, 106),
    (164, 78, 48),
    (176, 174, 178),
)
_UPPER, _FORE = 128.0, 112.0  # arm bones, units
_ELBOW = 20  # row of an arm's line at the elbow


@dataclass(frozen=True, slots=True)
class Person:
    """Who wears it: ``width`` scales the build, colours are RGB, ``hair_style`` one of the styles drawn below."""

    gender: str
    width: float
    skin: RGB
    hair: RGB
    hair_style: str
    beard: bool

    @classmethod
    def draw(cls, rng: Rng, gender: str, hat: bool) -> "Person":
        """A person at random; under a hat the hair is a style that fits."""
        skin = int(rng.integers(len(SKINS)))
        hair = HAIRS[int(rng.integers(len(HAIRS)))] if skin < 3 else HAIRS[int(rng.integers(3))]
        women = ("long", "wavy", "bob", "bun", "tail", "afro", "crop")
        men = ("crop", "quiff", "afro", "shaved", "bun", "bob")
        style = (
            pick(rng, women, (3, 3, 3, 2, 2, 1.5, 0.7)) if gender == "women" else pick(rng, men, (4, 4, 1, 1, 1, 0.6))
        )
        if hat:
            style = {"bun": "tail", "afro": "crop", "quiff": "crop"}.get(style, style)
        width = float(rng.uniform(0.92, 1.12))
        return cls(gender, width, SKINS[skin], hair, style, gender == "men" and bool(rng.random() < 0.4))


@dataclass(frozen=True, slots=True)
class Pose:
    """How the figure stands. ``turn`` (-1 to 1) is a look to the side, ``arms`` (left, right) names what each does."""

    shift: float
    shoulder_tilt: float
    hip_tilt: float
    turn: float
    back: bool
    arms: tuple[str, str]
    stance: str
    nod: float

    @classmethod
    def draw(cls, rng: Rng, view: str) -> "Pose":
        """A natural stance for a view: weight on one leg, shoulders and hips tilted against each other."""
        lean = float(rng.choice((-1, 1)) * rng.uniform(0.2, 1.0))
        back = view == "back"
        side = float(rng.choice((-1, 1)) * rng.uniform(0.7, 1.0))
        arms = ("down", "down", "hip", "pocket", "away", "bent") if not back else ("down", "down", "away", "hip")
        left, right = pick(rng, arms), pick(rng, arms)
        if left == right == "bent":
            right = "down"
        stances = ("weight", "walk", "wide", "crossed")
        return cls(
            shift=10 * lean,
            shoulder_tilt=-0.05 * lean,
            hip_tilt=0.07 * lean,
            turn=side if view == "side" else float(rng.uniform(-0.3, 0.3)),
            back=back,
            arms=(left, right),
            stance=pick(rng, stances, (4, 3, 2, 1.5)),
            nod=float(rng.uniform(-5, 5)),
        )


class Body:
    """A posed person: where shoulders, hands and feet are. ``side`` is -1 for the picture's left, 1 for its right."""

    def __init__(self, person: Person, pose: Pose) -> None:
        self.person, self.pose = person, pose
        men = person.gender == "men"
        self.men = men
        narrow = 1 - 0.16 * abs(pose.turn)
        self.w = person.width * narrow
        self.neck = (25 if men else 19) * np.sqrt(person.width)
        self.shoulder = (91 if men else 73) * self.w
        self._levels = np.array([142, 195, 225, WAIST, 345, HIP, CROTCH])
        widths = (78, 75, 72, 61, 62, 66, 66) if men else (60, 61, 58, 46, 58, 69, 69)
        self._halves = np.array(widths, dtype=np.float64) * self.w
        self.thick = np.sqrt(person.width) * (1.16 if men else 1.0)
        self.arms = {side: self._arm(side, pose.arms[0 if side < 0 else 1]) for side in (-1, 1)}
        self.legs = {side: self._leg(side) for side in (-1, 1)}
        self.front = 0.0 if pose.back else 0.42 * pose.turn  # where the centre front is, in half widths

    def half(self, y: float) -> float:
        """Half width of the torso at height y."""
        return float(np.interp(y, self._levels, self._halves))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A point of the torso, ``x`` from its axis at height ``y``, moved as the pose moves it."""
        down = float(np.clip((y - 140) / (HIP - 140), 0, 1.35))
        bend = 3 * down**2 - 2 * down**3 if down < 1 else 1.0
        tilt = self.pose.shoulder_tilt * (1 - min(down, 1)) + self.pose.hip_tilt * min(down, 1)
        return x + self.pose.shift * bend, y + tilt * x

    def many(self, points: Sequence[tuple[float, float]]) -> Points:
        """float64 (n, 2): ``at`` of every point."""
        return np.array([self.at(x, y) for x, y in points])

    def centre(self, y: float) -> float:
        """x (torso axis) of the centre front at height y: off the axis when the figure turns."""
        return self.front * self.half(y)

    def _arm(self, side: int, doing: str) -> Points:
        """float64 (4, 2): shoulder, elbow, wrist, fingertips."""
        x, y = self.at(side * (self.shoulder - 17 * self.thick), 160)
        shoulder = np.array([x, y])
        half = self.half
        target = {
            "down": (half(HIP) + 28, 392),
            "away": (half(HIP) + 62, 378),
            "hip": (half(320) + 6, 324),
            "pocket": (half(HIP) + 3, 384),
            "bent": (half(250) * 0.35, 262),
        }[doing]
        wrist = np.array(self.at(side * target[0], target[1]))
        reach = wrist - shoulder
        span = float(np.linalg.norm(reach))
        if span > 0.995 * (_UPPER + _FORE):
            wrist = shoulder + reach * 0.995 * (_UPPER + _FORE) / span
            reach = wrist - shoulder
            span = float(np.linalg.norm(reach))
        along = (_UPPER**2 - _FORE**2 + span**2) / (2 * span)
        out = np.sqrt(max(_UPPER**2 - along**2, 0.0))
        normal = np.array([reach[1], -reach[0]]) / span
        normal *= np.sign(normal[0] * side) or 1.0
        if doing == "bent":
            out *= 0.55  # the elbow points at the camera, so the bones look shorter
        elbow = shoulder + reach * along / span + normal * out
        aim = (wrist - elbow) / max(float(np.linalg.norm(wrist - elbow)), 1e-6)
        if doing in ("down", "away"):
            aim = aim * 0.8 + np.array([-0.1 * side, 0.35])
        return np.array([shoulder, elbow, wrist, wrist + aim / np.linalg.norm(aim) * 42])

    def _leg(self, side: int) -> Points:
        """float64 (3, 2): hip, knee, ankle."""
        pose = self.pose
        lead = np.sign(pose.shift) or 1.0
        hip = np.array(self.at(side * self.half(HIP) * 0.47, CROTCH - 14))
        base = pose.shift * 0.7
        free = side != lead
        spread, lift, bend = {
            "weight": (44.0 if free else 20.0, -2.0 if free else 0.0, 9.0 if free else 1.0),
            "walk": (15.0, -22.0 if free else 4.0, 4.0 if free else 2.0),
            "wide": (56.0, 0.0, 3.0),
            "crossed": (-4.0 if free else 12.0, 5.0 if free else -5.0, 2.0),
        }[pose.stance]
        ankle = np.array([base + side * spread * self.w, ANKLE + lift])
        share = (KNEE - hip[1]) / (ANKLE - hip[1])
        knee = hip + (ankle - hip) * share + np.array([side * bend * (1 - 0.6 * abs(pose.turn)), lift * 0.3])
        return np.array([hip, knee, ankle])

    def leg_line(self, side: int, end: float, ease: float = 0.0, flare: float = 0.0) -> Points:
        """float64 (n, 3): centre line and half width of a leg, or of a trouser leg, down to height ``end``."""
        hip, knee, ankle = self.legs[side]
        t = self.thick
        rows = [
            (hip[0], hip[1] - 8, 33.0 * t * self.w**0.5),
            (*(hip + (knee - hip) * 0.35), 33.0 * t),
            (*(hip + (knee - hip) * 0.75), 25.5 * t),
            (*knee, 20.5 * t),
            (*(knee + (ankle - knee) * 0.3), 21.0 * t),
            (*(knee + (ankle - knee) * 0.65), 15.5 * t),
            (*ankle, 10.5 * t),
            (ankle[0], ankle[1] + 22, 11.0 * t),
        ]
        line = spline(rows, steps=6)
        line = line[line[:, 1] <= end]
        if ease or flare:
            down = (line[:, 1] - line[0, 1]) / (ANKLE - line[0, 1])
            line[:, 2] += ease * (0.45 + 0.75 * np.minimum(down * 1.5, 1.0)) + flare * np.clip(down * 1.5 - 0.4, 0, 1.1)
            if ease > 3:  # cloth hangs from the widest place: it doesn't follow the calf back in
                line[:, 2] = np.maximum(line[:, 2], np.minimum(20.0 * t, line[:, 2] + 8) * (down > 0.4))
        leg: Points = line
        return leg

    def yoke(self, side: int) -> Points:
        """Where the torso goes over into the arm."""
        n, s = self.neck * 1.1, self.shoulder
        return self.many(
            [(side * n, 118), (side * s, 132), (side * s, 196), (side * self.half(195) * 0.8, 206), (side * n, 214)]
        )

    def arm_line(self, side: int, share: float, volume: float = 0.0) -> Points:
        """float64 (n, 3): centre line and half width of an arm, or of a sleeve over ``share`` of it."""
        shoulder, elbow, wrist, _ = self.arms[side]
        t = self.thick
        rows = [
            (*shoulder, 19.5 * t),
            (*(shoulder + (elbow - shoulder) * 0.45), 18.0 * t),
            (*elbow, 14.0 * t),
            (*(elbow + (wrist - elbow) * 0.3), 14.5 * t),
            (*wrist, 9.0 * t),
        ]
        line = spline(rows, steps=10)
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line[:, :2], axis=0), axis=1))])
        line = line[length <= share * length[-1] + 1e-6].copy()
        line[:, 2] += volume
        sleeve: Points = line
        return sleeve


def paint_legs(canvas: Canvas, body: Body) -> None:
    """Bare legs, the one further back first."""
    skin = Fabric(body.person.skin)
    for side in far_to_near(body):
        canvas.paint([sweep(body.leg_line(side, 790))], "skin", skin, roundness=9, relief=0.55, shadow=0.3)
        x, y = body.legs[side][1]
        canvas.line(
            spline([(x - 9, y + 6), (x, y + 10), (x + 8, y + 6)]),
            mix(body.person.skin, (120, 60, 50), 0.4),
            1.6,
            alpha=0.5,
        )


def far_to_near(body: Body) -> tuple[int, int]:
    """Sides in the order to paint legs: the foot that is higher in the picture is further away."""
    return (-1, 1) if body.legs[-1][2, 1] <= body.legs[1][2, 1] else (1, -1)


def paint_torso(canvas: Canvas, body: Body) -> None:
    """Neck, shoulders and trunk in skin; clothes cover what they cover."""
    n, s = body.neck, body.shoulder
    right: list[tuple[float, float]] = [
        (n * 0.92, 88),
        (n, 116),
        (n + 12, 129),
        (s - 12, 143),
        (s, 158),
        (body.half(195), 198),
    ]
    right += [(body.half(y), y) for y in (225, WAIST, 345, HIP, CROTCH + 14)]
    left = [(-x, y) for x, y in reversed(right)]
    outline = np.vstack([spline(body.many(right), steps=5), spline(body.many(left), steps=5)])
    skin = Fabric(body.person.skin)
    canvas.paint([outline], "skin", skin, roundness=12, relief=0.4, shadow=0.2)
    if not body.pose.back:
        tone = mix(body.person.skin, (110, 50, 40), 0.35)
        for side in (-1, 1):
            c = body.centre(140)
            canvas.line(
                spline(body.many([(c + side * 6, 146), (c + side * 26, 141), (c + side * 48, 143)])), tone, 2, alpha=0.4
            )


def paint_arm(canvas: Canvas, body: Body, side: int) -> None:
    """A bare arm and its hand (a hand in a pocket is not seen)."""
    skin = Fabric(body.person.skin)
    line = body.arm_line(side, 1.0)
    doing = body.pose.arms[0 if side < 0 else 1]
    shapes = tube(line)
    if doing not in ("pocket", "hip"):
        shapes += hand(body, side)
    canvas.paint(shapes, "skin", skin, roundness=7, relief=0.5, shadow=0.35, joined=[body.yoke(side)])


def tube(line: Points) -> list[Points]:
    """Outlines of an arm or sleeve (rows of x, y, half width) with its round shoulder and elbow."""
    joints = [line[0]] + ([line[_ELBOW]] if len(line) > _ELBOW else [])
    pieces = [line[: _ELBOW + 1], line[_ELBOW:]] if len(line) > _ELBOW + 2 else [line]
    return [*map(sweep, pieces), *(ellipse(x, y, r, r) for x, y, r in joints)]


def hand(body: Body, side: int) -> list[Points]:
    """A hand: palm, closed fingers and thumb."""
    _, _, wrist, tip = body.arms[side]
    along = (tip - wrist) / np.linalg.norm(tip - wrist)
    across = np.array([-along[1], along[0]])
    inward = across * (-side if across[0] > 0 else side)
    t = body.thick
    palm = limb([(*wrist, 8.5 * t), (*(wrist + along * 13), 10.5 * t), (*(wrist + along * 28), 9 * t), (*tip, 4.0 * t)])
    thumb_from, thumb_to = wrist + along * 8 + inward * 6, wrist + along * 25 + inward * 12 * t
    return [
        palm,
        limb([(*thumb_from, 4.5 * t), (*((thumb_from + thumb_to) / 2 + inward * 2), 4.2 * t), (*thumb_to, 2.6 * t)]),
    ]


def head_centre(body: Body) -> tuple[float, float]:
    """Where the middle of the head is; it leans a little with the pose."""
    return body.pose.nod * 0.8 + 7 * body.pose.turn, 53.0


def paint_hair_behind(canvas: Canvas, body: Body) -> None:
    """Hair that hangs behind the neck and shoulders."""
    x, y = head_centre(body)
    hair = Fabric(body.person.hair, weave="smooth")
    style = body.person.hair_style
    if style in ("long", "wavy"):
        wave = 7 if style == "wavy" else 1.5
        drop = 215 if style == "long" else 190
        right = [(40, 0), (47, 40), (47 + wave, 75), (50 - wave, 110), (48 + wave, 145), (36, drop - y)]
        outline = spline([(x + a, y + b) for a, b in right] + [(x - a, y + b) for a, b in reversed(right)], steps=6)
        canvas.paint(
            [outline], "hair", hair, roundness=14, relief=0.7, shadow=0, folds=_strands(x, y, 34, drop - y - 20)
        )
    elif style == "bob":
        outline = spline(
            [(x + a, y + b) for a, b in ((42, -10), (49, 30), (46, 62), (0, 68), (-46, 62), (-49, 30), (-42, -10))],
            closed=True,
        )
        canvas.paint([outline], "hair", hair, roundness=12, relief=0.7, shadow=0)
    elif style == "tail" and not body.pose.back:
        end = x + 30 * (1 if body.pose.nod > 0 else -1)
        canvas.paint([limb([(x, y - 20, 14), (end * 0.8, y + 50, 20), (end, y + 130, 5)])], "hair", hair, shadow=0)


def _strands(x: float, y: float, width: float, drop: float) -> list[Points]:
    return [
        spline([(x + k * width, y - 20), (x + k * width * 1.25, y + drop * 0.5), (x + k * width, y + drop)])
        for k in (-1, -0.5, 0.45, 0.95)
    ]


def paint_head(canvas: Canvas, body: Body, glasses: str | None, earrings: bool) -> None:
    """Face (or the back of the head), hint of features, and the hair on top."""
    person, pose = body.person, body.pose
    x, y = head_centre(body)
    skin = Fabric(person.skin)
    jaw = 1.08 if body.men else 1.0
    face = [(0, -47), (30, -36), (37, -4), (33 * jaw, 22), (20 * jaw, 42), (0, 51)]
    face += [(-a, b) for a, b in reversed(face[1:-1])]
    outline = spline([(x + a, y + b) for a, b in face], closed=True, steps=6)
    hair = Fabric(person.hair)
    if pose.back:
        canvas.paint([outline], "hair" if person.hair_style != "shaved" else "skin", hair, roundness=14, relief=0.6)
        _paint_back_hair(canvas, body, hair)
        return
    side = pose.turn
    for ear in (-1, 1):
        if ear * side < 0.5:
            canvas.paint([ellipse(x + ear * 37, y + 4, 6, 11)], "skin", skin, roundness=4, shadow=0)
    canvas.paint([outline], "face", skin, roundness=13, relief=0.5, shadow=0.45)
    _features(canvas, person, x + 13 * side, y, 1 - 0.16 * abs(side))
    if person.beard:
        beard = [
            (-33, 8),
            (-24, 24),
            (-10, 20),
            (0, 19),
            (10, 20),
            (24, 24),
            (33, 8),
            (31, 30),
            (18, 46),
            (0, 53),
            (-18, 46),
            (-31, 30),
        ]
        shape = spline([(x + a * jaw, y + b) for a, b in beard], closed=True, steps=4)
        mouth = ellipse(x + 13 * side, y + 29, 9, 3.4)
        canvas.paint(
            [shape], "hair", Fabric(mix(person.hair, person.skin, 0.25)), roundness=6, relief=0.4, shadow=0, cut=[mouth]
        )
    if glasses:
        _paint_glasses(canvas, glasses, x + 13 * side, y)
    _paint_top_hair(canvas, body, hair)
    if earrings:
        for ear in (-1, 1):
            if ear * side < 0.5:
                canvas.paint(
                    [ellipse(x + ear * 38, y + 21, 3.4, 4.4)],
                    "earrings",
                    Fabric((226, 190, 104)),
                    roundness=2,
                    shadow=0,
                )


def _features(canvas: Canvas, person: Person, x: float, y: float, squeeze: float) -> None:
    dark = mix(person.hair, (44, 32, 34), 0.6)
    blush, lip = (
        mix(person.skin, (226, 96, 92), 0.32),
        mix(person.skin, (168, 48, 60), 0.62 if person.gender == "women" else 0.35),
    )
    for side in (-1, 1):
        at = x + side * 15 * squeeze
        canvas.detail([ellipse(at + side * 4, y + 18, 8, 5)], blush, alpha=0.4)
        canvas.line(spline([(at - 7, y - 10), (at, y - 13), (at + 7, y - 10)]), dark, 2.4, alpha=0.75)
        canvas.detail([ellipse(at, y - 1, 5.2, 2.6)], (246, 242, 240))
        canvas.detail([ellipse(at, y - 1, 2.6, 2.7)], (52, 38, 36))
        canvas.line(spline([(at - 6, y - 2), (at, y - 4.5), (at + 6, y - 2)]), dark, 1.6)
    canvas.line(
        spline([(x - 1, y + 2), (x - 4 * squeeze, y + 14), (x + 2, y + 16)]),
        mix(person.skin, (104, 52, 44), 0.4),
        1.8,
        alpha=0.75,
    )
    canvas.detail(
        [
            spline(
                [(x - 9, y + 28), (x - 3, y + 26), (x, y + 27), (x + 3, y + 26), (x + 9, y + 28), (x, y + 33)],
                closed=True,
                steps=4,
            )
        ],
        lip,
    )


def _paint_glasses(canvas: Canvas, kind: str, x: float, y: float) -> None:
    frame = (40, 34, 38)
    for side in (-1, 1):
        lens = ellipse(x + side * 16, y, 13, 11)
        if kind == "sun":
            canvas.paint([lens], "eyeglass", Fabric(frame), roundness=6, relief=0.6, shadow=0.2)
        else:
            canvas.line(np.vstack([lens, lens[:1]]), frame, 2.2, label="eyeglass")
    canvas.line(np.array([(x - 4, y - 1), (x + 4, y - 1)]), frame, 2.2, label="eyeglass")
    for side in (-1, 1):
        canvas.line(np.array([(x + side * 28, y - 3), (x + side * 36, y - 4)]), frame, 2.2, label="eyeglass")


def _paint_top_hair(canvas: Canvas, body: Body, hair: Fabric) -> None:
    x, y = head_centre(body)
    style, lean = body.person.hair_style, 6 if body.pose.nod > 0 else -6
    if style == "afro":
        puffs = [
            ellipse(x + 40 * np.cos(a), y - 22 + 36 * np.sin(a), 25, 24)
            for a in np.linspace(np.pi * 0.95, 2.05 * np.pi, 9)
        ]
        fringe = spline(
            [(x - 38, y - 10), (x, y - 34), (x + 38, y - 10), (x + 30, y - 60), (x - 30, y - 60)], closed=True
        )
        canvas.paint([*puffs, fringe, ellipse(x, y - 42, 36, 20)], "hair", hair, roundness=12, relief=0.7, shadow=0.2)
        return
    if style == "shaved":
        cap = [(-37, -8), (-32, -34), (0, -50), (32, -34), (37, -8), (30, -22), (0, -31), (-30, -22)]
        canvas.paint(
            [spline([(x + a, y + b) for a, b in cap], closed=True)],
            "hair",
            Fabric(mix(hair.colour, body.person.skin, 0.45)),
            shadow=0,
        )
        return
    shapes = {
        "crop": [
            (-39, 4),
            (-42, -28),
            (-26, -52),
            (2, -58),
            (28, -51),
            (42, -26),
            (39, 4),
            (34, -14),
            (22, -26),
            (lean, -29),
            (-22, -24),
            (-34, -12),
        ],
        "quiff": [
            (-39, 2),
            (-42, -30),
            (-30, -56),
            (lean * 2, -72),
            (32, -58),
            (42, -28),
            (39, 2),
            (34, -18),
            (20, -34),
            (0, -38),
            (-20, -34),
            (-34, -16),
        ],
        "bob": [
            (-47, 56),
            (-48, 6),
            (-40, -36),
            (0, -58),
            (40, -36),
            (48, 6),
            (47, 56),
            (35, 50),
            (35, 0),
            (26, -22),
            (lean, -26),
            (-26, -22),
            (-35, 0),
            (-35, 50),
        ],
    }
    parted = [
        (-46, 60),
        (-46, 0),
        (-38, -38),
        (0, -57),
        (38, -38),
        (46, 0),
        (46, 60),
        (36, 40),
        (34, 0),
        (22, -20),
        (lean * 1.5, -40),
        (-22, -20),
        (-34, 0),
        (-36, 40),
    ]
    sleek = [
        (-39, 8),
        (-41, -26),
        (-26, -50),
        (0, -57),
        (26, -50),
        (41, -26),
        (39, 8),
        (34, -14),
        (20, -32),
        (0, -38),
        (-20, -32),
        (-34, -14),
    ]
    outline = shapes.get(style, parted if style in ("long", "wavy") else sleek)
    pieces = [spline([(x + a, y + b) for a, b in outline], closed=True, steps=5)]
    if style == "bun":
        pieces.append(ellipse(x + lean * 0.5, y - 66, 19, 17))
    folds = [spline([(x + lean, y - 50), (x + k * 26, y - 38), (x + k * 38, y - 6)]) for k in (-1, 1)]
    canvas.paint(pieces, "hair", hair, roundness=9, relief=0.75, shadow=0.25, folds=folds)


def _paint_back_hair(canvas: Canvas, body: Body, hair: Fabric) -> None:
    x, y = head_centre(body)
    style = body.person.hair_style
    if style == "shaved":
        canvas.paint([ellipse(x, y - 12, 38, 40)], "hair", Fabric(mix(hair.colour, body.person.skin, 0.45)), shadow=0)
        return
    pieces = [ellipse(x, y - 8, 41, 46)]
    folds = [spline([(x + k * 4, y - 48), (x + k * 22, y - 20), (x + k * 26, y + 24)]) for k in (-1, 0.2, 1)]
    if style in ("long", "wavy", "bob"):
        drop, wave = {"long": 168, "wavy": 140, "bob": 66}[style], 6 if style == "wavy" else 0
        right = [(40, -12), (46, 30), (47 + wave, drop * 0.5), (44 - wave, drop * 0.8), (30, drop)]
        pieces.append(
            spline(
                [(x + a, y + b) for a, b in right] + [(x - a, y + b) for a, b in reversed(right)], closed=True, steps=6
            )
        )
        folds += _strands(x, y, 32, drop - 18)
    elif style == "afro":
        pieces += [ellipse(x + 38 * np.cos(a), y - 18 + 36 * np.sin(a), 25, 24) for a in np.linspace(0, 2 * np.pi, 11)]
    elif style == "bun":
        pieces.append(ellipse(x, y - 60, 20, 17))
    elif style == "tail":
        pieces.append(limb([(x, y - 14, 15), (x + 4, y + 50, 19), (x - 3, y + 125, 5)]))
    canvas.paint(pieces, "hair", hair, roundness=11, relief=0.75, shadow=0.35, folds=folds)
