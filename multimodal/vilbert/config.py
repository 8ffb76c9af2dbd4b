"""The shape of a ViLBERT, as its `config.json` holds it."""

from dataclasses import dataclass, field, fields

from multimodal.errors import UserError
from multimodal.text.encoder import TextConfig

REGIONS = ("grid", "faster-rcnn")
IMAGE_TOWERS = ("mobilenet_v2", "conv", "none")
BOX = 5  # x1, y1, x2, y2 and area, all as shares of the picture


@dataclass(frozen=True)
class VisionConfig:
    """Shape of the vision stream.

    Attributes:
        width: Size of a region's vector.
        layers: Transformer blocks (TRM).
        heads: Attention heads per block; they divide the width.
        hidden: Width inside the feed-forward part.
    """

    width: int = 384
    layers: int = 3
    heads: int = 12
    hidden: int = 768

    def __post_init__(self) -> None:
        for name in ("width", "layers", "heads", "hidden"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise UserError(f"vision.{name} must be a positive whole number.")
        if self.width % self.heads:
            raise UserError(f"vision.heads ({self.heads}) must divide the width ({self.width}).")


@dataclass(frozen=True)
class VilbertConfig:
    """Shape of a two-stream model.

    Attributes:
        text: Shape of the language stream.
        vision: Shape of the vision stream.
        co_text: For each co-attention layer, how many blocks of the language stream come before
            it; the paper has six layers, after 7 to 12 of BERT's 12 blocks.
        co_vision: The same for the vision stream. Both empty: the streams meet only at the end.
        co_width: Width of the co-attention's queries, keys and values.
        co_heads: Its heads; they divide its width.
        fusion_width: Width of the product of the two summaries.
        dropout: Share of a summary that is dropped before the answers, in training.
        regions: ``grid``, the cells of the image tower, or ``faster-rcnn``, a detector's boxes.
        image_tower: ``mobilenet_v2``, ``conv``, or ``none`` where a detector gives the regions.
        image_width: Channels of the conv tower's first layer.
        image_size: Side in pixels that pictures are squeezed to before the tower.
        rows: Rows of the grid; for a detector, 1.
        columns: Columns of the grid; for a detector, the number of boxes.
        region_features: Numbers that describe one region.
        concepts: What a hidden region may show, the classes of its head.
        answers: What can be answered, the classes of the answer head.
        languages: Codes of the languages it is trained on.
    """

    text: TextConfig = field(default_factory=TextConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)
    co_text: tuple[int, ...] = (4, 5)
    co_vision: tuple[int, ...] = (2, 3)
    co_width: int = 384
    co_heads: int = 12
    fusion_width: int = 512
    dropout: float = 0.1
    regions: str = "grid"
    image_tower: str = "mobilenet_v2"
    image_width: int = 24
    image_size: int = 192
    rows: int = 6
    columns: int = 6
    region_features: int = 1280
    concepts: tuple[str, ...] = ("nothing",)
    answers: tuple[str, ...] = ("no", "yes")
    languages: tuple[str, ...] = ("en",)

    def __post_init__(self) -> None:
        for name, known in (("regions", REGIONS), ("image_tower", IMAGE_TOWERS)):
            if getattr(self, name) not in known:
                raise UserError(
                    f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(known)}."
                )
        for name in ("co_width", "co_heads", "fusion_width", "image_width", "image_size"):
            self._check_positive(name)
        for name in ("rows", "columns", "region_features"):
            self._check_positive(name)
        if (self.regions == "grid") == (self.image_tower == "none"):
            raise UserError("A grid needs an image_tower; a detector's regions need 'none'.")
        if self.co_width % self.co_heads:
            raise UserError(f"co_heads ({self.co_heads}) must divide co_width ({self.co_width}).")
        if not 0 <= self.dropout < 1:
            raise UserError("dropout must be at least 0 and under 1.")
        if len(self.co_text) != len(self.co_vision):
            raise UserError("co_text and co_vision must name a place for each co-attention layer.")
        for name, places, layers in (
            ("co_text", self.co_text, self.text.layers),
            ("co_vision", self.co_vision, self.vision.layers),
        ):
            if list(places) != sorted(places) or any(not 0 <= p <= layers for p in places):
                raise UserError(f"{name} must be rising numbers of blocks, 0 to {layers}.")
        for name in ("concepts", "answers", "languages"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise UserError(f"{name} must name at least one, and none of them twice.")

    def _check_positive(self, name: str) -> None:
        if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
            raise UserError(f"{name} must be a positive whole number.")

    @classmethod
    def from_dict(cls, values: dict) -> "VilbertConfig":
        """Reads a `config.json`'s configuration.

        Raises:
            UserError: naming a field that is unknown or wrong.
        """
        values = dict(values)
        if unknown := set(values) - {f.name for f in fields(cls)}:
            raise UserError(
                f"The ViLBERT configuration has an unknown field {sorted(unknown)[0]!r}."
            )
        for name in ("co_text", "co_vision", "concepts", "answers", "languages"):
            if name in values:
                values[name] = tuple(values[name])
        try:
            values["text"] = TextConfig(**values.get("text", {}))
            values["vision"] = VisionConfig(**values.get("vision", {}))
            return cls(**values)
        except TypeError as error:
            raise UserError(f"The ViLBERT configuration cannot be read: {error}.") from error

    @property
    def region_count(self) -> int:
        """Regions of a picture, the global token not counted."""
        return self.rows * self.columns

    def plan(self) -> list[tuple[str, int]]:
        """The layers in the order they run: ``("text" | "vision" | "co", number from 0)``."""
        steps, text, vision = [], 0, 0
        places = [*zip(self.co_text, self.co_vision, strict=True)]
        for layer, (until_text, until_vision) in enumerate(places):
            steps += [("text", i) for i in range(text, until_text)]
            steps += [("vision", i) for i in range(vision, until_vision)]
            steps.append(("co", layer))
            text, vision = until_text, until_vision
        steps += [("text", i) for i in range(text, self.text.layers)]
        return steps + [("vision", i) for i in range(vision, self.vision.layers)]
