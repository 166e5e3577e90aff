"""Names of the object shapes and colors, in the order of their numbers.

An item's look is `state.SHAPES` plus the index in SHAPE_NAMES. The names are the words of DMLab's instructions
(reference A6.3 and A6.5).
"""

SHAPE_NAMES: tuple[str, ...] = (
    "apple2", "ball", "balloon", "banana", "bottle", "cake", "can", "car", "cassette", "chair",
    "cherries", "cow", "flower", "fork", "fridge", "guitar", "hair_brush", "hammer", "hat", "ice_lolly",
    "jug", "key", "knife", "ladder", "mug", "pencil", "pig", "pincer", "plant", "saxophone",
    "shoe", "spoon", "suitcase", "tennis_racket", "tomato", "toothbrush", "tree", "tv", "wine_glass", "zebra",
)  # fmt: skip

# Colors of the language level's objects, and the pure RGB (HSL saturation 100 %, lightness 50 %) that each means.
COLOR_NAMES: tuple[str, ...] = ("red", "green", "blue", "cyan", "magenta", "yellow")
COLOR_RGB: tuple[tuple[int, int, int], ...] = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (0, 255, 255),
    (255, 0, 255),
    (255, 255, 0),
)
