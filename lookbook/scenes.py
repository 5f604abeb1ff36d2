"""Where the photo is taken: studio, street, room or park, out of focus behind the figure."""

from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lookbook.canvas import HEIGHT, WIDTH
from lookbook.fabrics import RGB, Fabric, mix
from lookbook.wardrobe import Rng, pick

SCENES: Final = ("studio", "arch", "street", "room", "park", "shore", "wallpaper")

_WALLS: Final[tuple[RGB, ...]] = (
    (236, 232, 226),
    (222, 226, 232),
    (238, 222, 210),
    (212, 222, 212),
    (226, 208, 206),
    (196, 206, 218),
    (216, 200, 176),
    (168, 178, 186),
    (190, 170, 190),
    (120, 134, 148),
    (186, 122, 98),
    (92, 104, 100),
    (74, 122, 126),
    (222, 178, 98),
    (214, 148, 152),
    (94, 118, 164),
    (140, 156, 112),
    (74, 70, 84),
)


def _fade(top: RGB, bottom: RGB, height: int = HEIGHT) -> Image.Image:
    t = np.linspace(0, 1, max(height, 1))[:, None, None]
    band = np.array(top) * (1 - t) + np.array(bottom) * t
    return Image.fromarray(np.broadcast_to(band, (max(height, 1), WIDTH, 3)).astype(np.uint8))


def backdrop(rng: Rng, scene: str, floor: float, light: float) -> Image.Image:
    """RGB WIDTH x HEIGHT. ``floor`` is the height in pixels at which the figure's feet stand (it may lie below the
    photo), ``light`` the side the light comes from."""
    sheet = {
        "studio": _studio,
        "arch": _arch,
        "street": _street,
        "room": _room,
        "park": _park,
        "shore": _shore,
        "wallpaper": _wallpaper,
    }[scene](rng, floor - 34)
    glow = Image.new("L", (WIDTH // 4, HEIGHT // 4), 0)
    x, y = WIDTH / 8 + light * 22, 26
    ImageDraw.Draw(glow).ellipse((x - 30, y - 32, x + 30, y + 40), fill=70)
    glow = glow.filter(ImageFilter.GaussianBlur(13)).resize(sheet.size, Image.Resampling.BICUBIC)
    sheet.paste((255, 250, 240), None, glow)
    return sheet


def ground_shadow(sheet: Image.Image, x: float, floor: float, width: float, light: float) -> None:
    """Lay the soft shadow under the feet (pixels) onto the backdrop."""
    soft = Image.new("L", sheet.size, 0)
    pen = ImageDraw.Draw(soft)
    away = -light * width * 0.35
    pen.ellipse((x - width + away, floor - 9, x + width + away, floor + 11), fill=80)
    pen.ellipse((x - width * 0.62, floor - 5, x + width * 0.62, floor + 6), fill=130)
    sheet.paste((44, 38, 50), None, soft.filter(ImageFilter.GaussianBlur(4)))


def _floored(wall: Image.Image, ground: Image.Image, horizon: float, soften: float) -> Image.Image:
    wall.paste(ground, (0, round(horizon)))
    return wall.filter(ImageFilter.GaussianBlur(soften))


def _studio(rng: Rng, horizon: float) -> Image.Image:
    wall = pick(rng, _WALLS)
    sheet = _fade(mix(wall, (255, 255, 255), 0.12), mix(wall, (30, 28, 40), 0.06))
    return _floored(sheet, _fade(mix(wall, (255, 255, 255), 0.22), mix(wall, (40, 36, 48), 0.12), 160), horizon, 22)


def _arch(rng: Rng, horizon: float) -> Image.Image:
    wall, panel = pick(rng, _WALLS), pick(rng, _WALLS)
    panel = mix(panel, (206, 150, 120), 0.3)
    sheet = _fade(wall, mix(wall, (255, 255, 255), 0.15))
    pen = ImageDraw.Draw(sheet)
    x, half, top = WIDTH / 2 + rng.uniform(-36, 36), rng.uniform(66, 96), rng.uniform(26, 90)
    if rng.random() < 0.5:
        pen.pieslice((x - half, top, x + half, top + 2 * half), 180, 360, fill=panel)
        pen.rectangle((x - half, top + half, x + half, 3 * HEIGHT), fill=panel)
    else:
        pen.ellipse((x - half, top + 20, x + half, top + 20 + 2 * half), fill=panel)
    return _floored(sheet, _fade(mix(wall, (70, 56, 60), 0.18), mix(wall, (70, 56, 60), 0.30), 160), horizon, 0.8)


def _street(rng: Rng, horizon: float) -> Image.Image:
    sky = pick(rng, ((206, 222, 236), (232, 222, 210), (214, 216, 222)))
    sheet = _fade(sky, mix(sky, (255, 250, 240), 0.5))
    pen = ImageDraw.Draw(sheet)
    fronts = (
        (178, 118, 94),
        (206, 186, 160),
        (146, 150, 158),
        (198, 160, 140),
        (122, 130, 142),
        (214, 202, 190),
        (156, 128, 112),
    )
    x = -float(rng.uniform(0, 40))
    while x < WIDTH:
        width, top = rng.uniform(48, 96), rng.uniform(-40, 110)
        front = pick(rng, fronts)
        pen.rectangle((x, top, x + width, 3 * HEIGHT), fill=front)
        glass = mix(front, pick(rng, ((66, 82, 100), (236, 216, 170))), 0.6)
        columns = int(width // 24)
        for row in range(12):
            for column in range(columns):
                wx, wy = x + (column + 0.5) * width / columns, top + 20 + row * 36
                pen.rectangle((wx - 6, wy, wx + 6, wy + 20), fill=glass)
        shop = horizon - 66
        pen.rectangle((x, shop, x + width, 3 * HEIGHT), fill=mix(front, (52, 52, 60), 0.55))
        pen.rectangle(
            (x, shop - 9, x + width, shop + 3),
            fill=pick(rng, ((176, 70, 64), (64, 108, 100), (222, 186, 110), (74, 88, 124))),
        )
        x += width + rng.uniform(0, 6)
    paving = pick(rng, ((176, 172, 168), (158, 156, 160), (190, 180, 168)))
    ground = _fade(mix(paving, (255, 255, 255), 0.12), paving, 200)
    lines = ImageDraw.Draw(ground)
    for k in range(-12, 13):
        lines.line((WIDTH / 2 + k * 20, 0, WIDTH / 2 + k * 62, 200), fill=mix(paving, (70, 66, 70), 0.22), width=2)
    return _floored(sheet, ground, horizon, rng.uniform(0.8, 1.8))


def _room(rng: Rng, horizon: float) -> Image.Image:
    wall = pick(rng, _WALLS)
    sheet = _fade(wall, mix(wall, (60, 50, 50), 0.1))
    pen = ImageDraw.Draw(sheet)
    x = rng.uniform(8, 40) if rng.random() < 0.5 else rng.uniform(150, 184)
    if rng.random() < 0.5:
        pen.rectangle((x - 4, 30, x + 68, 190), fill=(246, 242, 234))
        for column in range(2):
            for row in range(3):
                pane = (x + column * 33, 35 + row * 51, x + column * 33 + 30, 82 + row * 51)
                pen.rectangle(pane, fill=mix((196, 220, 236), (248, 238, 214), rng.random()))
    else:
        for k in range(2):
            frame = (x + 8 * k, 40 + 84 * k, x + 52 - 6 * k, 104 + 78 * k)
            pen.rectangle(frame, fill=(92, 72, 60))
            pen.rectangle((frame[0] + 3, frame[1] + 3, frame[2] - 3, frame[3] - 3), fill=pick(rng, _WALLS))
    plant = WIDTH - x if x < 100 else rng.uniform(18, 44)
    pot = pick(rng, ((190, 120, 90), (226, 220, 210), (80, 88, 98)))
    pen.polygon(
        [(plant - 15, horizon - 34), (plant + 15, horizon - 34), (plant + 11, horizon + 4), (plant - 11, horizon + 4)],
        fill=pot,
    )
    for _ in range(13):
        angle, length = rng.uniform(-2.7, -0.45), rng.uniform(44, 96)
        tip = (plant + length * np.cos(angle) * 0.7, horizon - 34 + length * np.sin(angle))
        leaf = mix((70, 116, 82), (148, 172, 110), rng.random())
        pen.line((plant, horizon - 34, *tip), fill=leaf, width=2)
        pen.ellipse((tip[0] - 9, tip[1] - 13, tip[0] + 9, tip[1] + 13), fill=leaf)
    wood = pick(rng, ((196, 158, 120), (164, 122, 92), (210, 190, 166), (120, 92, 76)))
    ground = _fade(wood, mix(wood, (255, 240, 220), 0.15), 200)
    lines = ImageDraw.Draw(ground)
    for row in range(10):
        lines.line((0, row * row * 2, WIDTH, row * row * 2), fill=mix(wood, (60, 40, 30), 0.25), width=1)
    pen.rectangle((0, horizon - 7, WIDTH, horizon), fill=mix(wall, (255, 255, 255), 0.5))
    return _floored(sheet, ground, horizon, 1.2)


def _wallpaper(rng: Rng, horizon: float) -> Image.Image:
    wall = pick(rng, _WALLS)
    accent = mix(pick(rng, _WALLS), (250, 246, 238), 0.2)
    pattern = pick(rng, ("stripes", "pinstripes", "checks", "dots", "print"))
    paper = Fabric(wall, pattern=pattern, accent=accent, repeat=float(rng.uniform(22, 44)), seed=int(rng.integers(99)))
    tile = paper.tile(1.0)
    rows, columns = np.arange(HEIGHT) % tile.shape[0], np.arange(WIDTH) % tile.shape[1]
    sheet = Image.fromarray(tile[rows[:, None], columns[None, :]])
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((0, horizon - 16, WIDTH, max(horizon, horizon - 16)), fill=mix(wall, (255, 255, 255), 0.7))
    wood = pick(rng, ((196, 158, 120), (164, 122, 92), (120, 92, 76), (206, 200, 194)))
    return _floored(sheet, _fade(wood, mix(wood, (255, 240, 220), 0.15), 200), horizon, 0.7)


def _park(rng: Rng, horizon: float) -> Image.Image:
    sheet = _fade(mix((196, 216, 200), (250, 240, 206), rng.random()), (168, 190, 140))
    pen = ImageDraw.Draw(sheet)
    autumn = rng.random() < 0.35
    for _ in range(70):
        x, y, r = rng.uniform(-20, WIDTH + 20), rng.uniform(-30, horizon - 10), rng.uniform(14, 38)
        green = mix((72, 112, 74), (178, 196, 118), rng.random())
        leaf = mix(green, (206, 126, 66), rng.uniform(0.4, 0.95)) if autumn else green
        pen.ellipse((x - r, y - r, x + r, y + r), fill=leaf)
    for _ in range(3):
        x, w = rng.uniform(0, WIDTH), rng.uniform(5, 11)
        pen.rectangle((x - w, 0, x + w, horizon + 4), fill=(98, 80, 66))
    grass = (176, 160, 108) if autumn else (128, 160, 92)
    sheet = _floored(sheet, _fade(grass, mix(grass, (60, 80, 50), 0.25), 200), horizon, 3)
    bokeh = Image.new("L", sheet.size, 0)
    spots = ImageDraw.Draw(bokeh)
    for _ in range(16):
        x, y, r = rng.uniform(0, WIDTH), rng.uniform(0, horizon * 0.7), rng.uniform(4, 12)
        spots.ellipse((x - r, y - r, x + r, y + r), fill=int(rng.integers(40, 96)))
    sheet.paste((255, 250, 222), None, bokeh.filter(ImageFilter.GaussianBlur(1)))
    return sheet


def _shore(rng: Rng, horizon: float) -> Image.Image:
    dusk = rng.random()
    sheet = _fade(mix((150, 190, 222), (206, 166, 182), dusk), mix((226, 236, 240), (252, 214, 178), dusk))
    pen = ImageDraw.Draw(sheet)
    sea = horizon - rng.uniform(60, 110)
    water = mix((84, 142, 166), (140, 132, 160), dusk)
    pen.rectangle((0, sea, WIDTH, 3 * HEIGHT), fill=water)
    for _ in range(24):
        x, y, w = rng.uniform(0, WIDTH), rng.uniform(sea + 4, horizon), rng.uniform(10, 46)
        pen.line((x - w, y, x + w, y), fill=mix(water, (255, 255, 255), rng.uniform(0.2, 0.6)), width=2)
    sand = mix((232, 212, 176), (220, 184, 160), dusk)
    return _floored(sheet, _fade(mix(sand, (255, 255, 255), 0.25), sand, 240), horizon - 6, 2.2)
