"""The command line: `python -m multimodal COMMAND`.

Every command is one dataclass: its fields are the arguments, their documentation is the help text,
and `run` does the work. What costs seconds to import is imported there and not before.
"""

import json as json_format
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, OmitSubcommandPrefixes, Positional

from multimodal.errors import UserError
from multimodal.progress import Progress
from multimodal.terminal import show

DEFAULT_CLIP, DEFAULT_VQVAE, DEFAULT_DALLE = "clip-photos", "vqvae-photos", "dalle-photos"
STOPPED = 130  # what shells report after Ctrl-C: 128 + SIGINT
WRONG = 2  # something the user gave cannot be used

OPTIONAL = "(optional)"
Name = Annotated[str, tyro.conf.arg(metavar="NAME")]
Folder = Annotated[Path, tyro.conf.arg(metavar="DIR")]
File = Annotated[Path, tyro.conf.arg(metavar="FILE")]
SomeFolder = Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint=OPTIONAL)]
SomeNumber = Annotated[float | None, tyro.conf.arg(metavar="X", help_behavior_hint=OPTIONAL)]
SomeFile = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint=OPTIONAL)]


@dataclass(frozen=True)
class Classify:
    """Say which of several labels fits a photo best (CLIP zero-shot).

    Attributes:
        image: The photo.
        labels: Labels to choose from, in English or Korean; quote a label of several words.
        model: A bundled name, a checkpoint folder, or openclip:ARCHITECTURE/TAG.
        json: Write the result as one JSON object.
    """

    image: Annotated[Positional[str], tyro.conf.arg(metavar="IMAGE")]
    labels: Annotated[
        Positional[tuple[str, ...]],
        tyro.conf.arg(metavar="LABEL [LABEL ...]", help_behavior_hint="(at least one)"),
    ] = ()
    model: Name = DEFAULT_CLIP
    json: SomeFile = None

    def run(self) -> int:
        """Prints the labels, best first."""
        labels = [label for label in self.labels if label.strip()]
        if not labels:
            raise UserError("No label was given: write at least one after the photo.")
        check_json(self.json)
        from multimodal import clip
        from multimodal.images import open_image

        picture = open_image(self.image)
        model = clip.load(self.model)
        predictions = model.classify(picture, labels)
        for prediction in predictions:
            print(
                f"{100 * prediction.probability:6.2f} %  cosine {prediction.cosine:+.3f}  "
                f"{prediction.label}"
            )
        write_json(
            self.json,
            {
                "image": self.image,
                "model": self.model,
                "predictions": [asdict(prediction) for prediction in predictions],
            },
        )
        return 0


@dataclass(frozen=True)
class Index:
    """Make a folder of photos searchable; what is already indexed is not embedded again.

    Captions lie beside the photos: name.txt for name.jpg, or a captions.txt with the columns
    image,caption.

    Attributes:
        folder: The photos, subfolders included.
        out: The gallery: a folder that is made, or gone on with.
        model: A bundled name, a checkpoint folder, or openclip:ARCHITECTURE/TAG.
    """

    folder: Annotated[Positional[Path], tyro.conf.arg(metavar="DIR")]
    out: Annotated[Path, tyro.conf.arg(metavar="GALLERY")]
    model: Name = DEFAULT_CLIP

    def run(self) -> int:
        """Indexes with a progress bar and lists the files that could not be read."""
        check_exists("DIR", self.folder)
        from multimodal.data.captions import captions_beside, folder_texts
        from multimodal.retrieval import Gallery

        gallery = Gallery.open_or_create(self.out, self.model)
        captions = captions_beside(folder_texts(self.folder)) if self.folder.is_dir() else None
        last = show(gallery.add(self.folder, captions), unit="photos")
        for _, reason in last.bad:
            print(one_line(reason), file=sys.stderr)
        if not len(gallery):
            raise UserError(f"{self.folder} holds no photo that can be read: give another folder.")
        print(
            f"{len(gallery)} photos in {self.out}: {last.added} new, {last.skipped} there already, "
            f"{len(last.bad)} could not be read."
        )
        return 0


@dataclass(frozen=True)
class Search:
    """Find photos of a gallery by words or by a photo.

    Attributes:
        gallery: What index has made.
        text: Words to search with, in English or Korean.
        image: A photo to search with.
        top_k: How many hits.
        json: Write the hits as one JSON object.
    """

    gallery: Annotated[Positional[Path], tyro.conf.arg(metavar="GALLERY")]
    text: Annotated[str | None, tyro.conf.arg(metavar="T")] = None
    image: Annotated[str | None, tyro.conf.arg(metavar="F")] = None
    top_k: Annotated[int, tyro.conf.arg(metavar="K")] = 10
    json: SomeFile = None

    def run(self) -> int:
        """Prints the hits, best first."""
        if (self.text is None) == (self.image is None):
            raise UserError("Search with --text or --image: give one of the two.")
        if self.top_k < 1:
            raise UserError(f"--top-k is {self.top_k}: give 1 or more.")
        check_json(self.json)
        from multimodal.retrieval import Gallery

        gallery = Gallery.open(self.gallery)
        photo = None if self.image is None else Path(self.image)  # a str would be read as words
        hits = gallery.search(self.text, photo, top_k=self.top_k).hits
        for hit in hits:
            print(f"{hit.rank:4}  {hit.score:+.3f}  {hit.path or hit.name}")
        write_json(
            self.json,
            {
                "gallery": str(self.gallery),
                "model": gallery.model_name,
                "text": self.text,
                "image": self.image,
                "hits": [
                    {
                        "rank": hit.rank,
                        "score": hit.score,
                        "name": hit.name,
                        "path": str(hit.path) if hit.path else None,
                        "captions": list(hit.captions),
                    }
                    for hit in hits
                ],
            },
        )
        return 0


@dataclass(frozen=True)
class Generate:
    """Draw pictures of a prompt (a miniature DALL-E).

    Attributes:
        prompt: What to draw, in English or Korean; "" draws whatever the model likes.
        out: Folder for the pictures, each named after its seed.
        model: A bundled name or a checkpoint folder.
        images: How many.
        seed: The first picture's seed; the others have the following ones.
        temperature: Under 1 safer, over 1 wilder; the model's own if not given.
        top_k: Only the k likeliest tokens may be drawn; 0 allows all.
        top_p: Only the likeliest tokens that together have this probability.
        guidance_scale: How much the prompt is exaggerated; 1 not at all.
        json: Write what was drawn, and how, as one JSON object.
    """

    prompt: Annotated[Positional[str], tyro.conf.arg(metavar="PROMPT")]
    out: Folder
    model: Name = DEFAULT_DALLE
    images: Annotated[int, tyro.conf.arg(metavar="N")] = 4
    seed: Annotated[int, tyro.conf.arg(metavar="S")] = 0
    temperature: Annotated[
        float | None, tyro.conf.arg(metavar="T", help_behavior_hint=OPTIONAL)
    ] = None
    top_k: Annotated[int | None, tyro.conf.arg(metavar="K", help_behavior_hint=OPTIONAL)] = None
    top_p: Annotated[float | None, tyro.conf.arg(metavar="P", help_behavior_hint=OPTIONAL)] = None
    guidance_scale: Annotated[
        float | None, tyro.conf.arg(metavar="G", help_behavior_hint=OPTIONAL)
    ] = None
    json: SomeFile = None

    def run(self) -> int:
        """Draws with a progress bar and names the files."""
        check_json(self.json)
        from multimodal import dalle
        from multimodal.dalle.export import file_name, save_png

        model = dalle.load(self.model)
        drawings = model.generate(
            self.prompt,
            self.images,
            self.seed,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            guidance_scale=self.guidance_scale,
        )
        self.out.mkdir(parents=True, exist_ok=True)
        last = None

        def rows() -> Iterator[Progress]:
            nonlocal last
            for last in drawings:
                yield Progress(last.rows, model.config.grid, "drawing")

        show(rows(), unit="rows")
        files = []
        for i in range(len(last.images)):
            file = self.out / file_name(self.prompt, last.seeds[i])
            save_png(last, i, file, self.prompt, self.model)
            files.append(str(file))
            print(file)
        write_json(
            self.json,
            {
                "prompt": self.prompt,
                "model": self.model,
                **asdict(last.settings),
                "images": [
                    {"file": file, "seed": seed}
                    for file, seed in zip(files, last.seeds, strict=True)
                ],
            },
        )
        return 0


@dataclass(frozen=True)
class Reconstruct:
    """Show what is left of a photo after it went through the image tokens of a VQ-VAE.

    Attributes:
        image: The photo.
        out: The picture to write.
        model: A bundled name or a checkpoint folder.
    """

    image: Annotated[Positional[str], tyro.conf.arg(metavar="IMAGE")]
    out: File
    model: Name = DEFAULT_VQVAE

    def run(self) -> int:
        """Writes the reconstruction and prints how near it came."""
        from multimodal import dalle
        from multimodal.dalle.export import save_image
        from multimodal.images import open_image

        picture = open_image(self.image)
        model = dalle.load_vqvae(self.model)
        made = model.reconstruct(picture)
        save_image(made, self.out)
        print(
            f"{self.out}: {model.grid} x {model.grid} tokens, {model.image_size} pixels square, "
            f"PSNR {model.psnr(picture, made):.1f} dB"
        )
        return 0


@dataclass(frozen=True)
class Train:
    """Train a model by a recipe; a stopped training goes on with --resume.

    Attributes:
        family: Which kind of model.
        recipe: Name of a recipe in multimodal/training/recipes, or a TOML file of your own.
        data: Folder of the data sets; the toybox needs none.
        out: Working folder; the model ends in its model/.
        resume: Go on where a stopped or killed training was.
        init: Checkpoint to go on from, in place of the recipe's own start.
        image_start: MobileNetV2 weights to start the image tower from.
        text_start: Folder of the BERT to start the text tower from.
        cache: Where decoded photos are kept; beside --out if not given.
    """

    family: Annotated[
        Positional[Literal["clip", "vqvae", "dalle", "vilbert", "judge"]],
        tyro.conf.arg(metavar="{clip,vqvae,dalle,vilbert,judge}"),
    ]
    recipe: Name
    data: SomeFolder = None
    out: SomeFolder = None
    resume: bool = False
    init: Annotated[str, tyro.conf.arg(metavar="NAME_OR_DIR", help_behavior_hint=OPTIONAL)] = ""
    image_start: SomeFile = None
    text_start: SomeFolder = None
    cache: SomeFolder = None

    def run(self) -> int:
        """Trains, with a progress bar."""
        from importlib import import_module

        from multimodal.training.recipe import MODULES, read_recipe

        recipe = read_recipe(self.family, self.recipe)
        family = import_module(f"multimodal.training.{MODULES[self.family]}")
        show(
            family.train(
                recipe,
                self.data,
                self.out or Path("runs") / f"{self.family}-{Path(self.recipe).stem}",
                resume=self.resume,
                init=self.init,
                image_start=self.image_start,
                text_start=self.text_start,
                cache=self.cache,
            )
        )
        return 0


@dataclass(frozen=True)
class ZeroShot:
    """Zero-shot accuracy on a class-per-folder set: the innermost folder's name is the class.

    Attributes:
        images: A folder, or an uncompressed tar.
        model: A bundled name, a checkpoint folder, or openclip:ARCHITECTURE/TAG.
        classes: Lines of FOLDER<TAB>NAME, where folders are not named after what they hold.
        template: A sentence with {} where the name belongs, in place of the ensemble of seven.
        json: Write the figures as one JSON object.
    """

    images: Annotated[Path, tyro.conf.arg(metavar="DIR_OR_TAR")]
    model: Name = DEFAULT_CLIP
    classes: SomeFile = None
    template: Annotated[str, tyro.conf.arg(metavar="T", help_behavior_hint=OPTIONAL)] = ""
    json: SomeFile = None

    def run(self) -> int:
        """Prints top1, top5 and mean_per_class in per cent."""
        check_json(self.json)
        check_exists("--images", self.images)
        check_exists("--classes", self.classes)
        from multimodal import clip
        from multimodal.evaluation import zero_shot

        templates = [self.template] if self.template else None
        return figures(
            zero_shot.evaluate(clip.load(self.model), self.images, self.classes, templates),
            self.json,
        )


@dataclass(frozen=True)
class Retrieval:
    """Recall of captions to photos and photos to captions.

    Attributes:
        images: Folder of the photos.
        captions: captions.txt (csv with image,caption) or a COCO captions JSON.
        model: A bundled name, a checkpoint folder, or openclip:ARCHITECTURE/TAG.
        json: Write the figures as one JSON object.
    """

    images: Folder
    captions: File
    model: Name = DEFAULT_CLIP
    json: SomeFile = None

    def run(self) -> int:
        """Prints recall at 1, 5 and 10 in per cent, both ways."""
        check_json(self.json)
        check_exists("--images", self.images)
        check_exists("--captions", self.captions)
        from multimodal import clip
        from multimodal.evaluation import retrieval

        return figures(
            retrieval.evaluate(clip.load(self.model), self.images, self.captions), self.json
        )


@dataclass(frozen=True)
class VqvaeFigures:
    """How much of a photo survives the way through its image tokens.

    Attributes:
        images: Folder of the photos.
        model: A bundled name or a checkpoint folder.
        json: Write the figures as one JSON object.
    """

    images: Folder
    model: Name = DEFAULT_VQVAE
    json: SomeFile = None

    def run(self) -> int:
        """Prints mse, psnr in dB, ssim, perplexity and codes_used in per cent."""
        check_json(self.json)
        check_exists("--images", self.images)
        from multimodal import dalle
        from multimodal.evaluation import vqvae

        return figures(vqvae.evaluate(dalle.load_vqvae(self.model), self.images), self.json)


@dataclass(frozen=True)
class DalleFigures:
    """How well a DALL-E foretells captioned photos, and whether its pictures fit their captions.

    Attributes:
        images: Folder of the photos.
        captions: captions.txt (csv with image,caption) or a COCO captions JSON.
        model: A bundled name or a checkpoint folder.
        scenes: Scene photos, class per folder, a folder or an uncompressed tar: are scenes drawn
            as asked for?
        clip: The CLIP that judges.
        json: Write the figures as one JSON object.
    """

    images: Folder
    captions: File
    model: Name = DEFAULT_DALLE
    scenes: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR_OR_TAR", help_behavior_hint=OPTIONAL)
    ] = None
    clip: Name = DEFAULT_CLIP
    json: SomeFile = None

    def run(self) -> int:
        """Prints nats per token and shares in per cent."""
        check_json(self.json)
        check_exists("--images", self.images)
        check_exists("--captions", self.captions)
        check_exists("--scenes", self.scenes)
        from multimodal import clip, dalle
        from multimodal.evaluation import dalle as measure

        model, judge = dalle.load(self.model), clip.load(self.clip)
        found = measure.evaluate(model, judge, self.images, self.captions)
        if self.scenes is not None:
            found |= measure.evaluate_scenes(model, judge, self.scenes)
        return figures(found, self.json)


@dataclass(frozen=True)
class Toybox:
    """Exact scores on scenes drawn afresh from a seed, for a model of any family.

    Attributes:
        model: A bundled name, a checkpoint folder, or openclip:ARCHITECTURE/TAG.
        seed: Chooses the scenes.
        scenes: How many scenes.
        json: Write the figures as one JSON object.
    """

    model: Name = "clip-toybox"
    seed: int = 0
    scenes: int = 1000
    json: SomeFile = None

    def run(self) -> int:
        """Prints the figures in per cent."""
        check_json(self.json)
        if self.scenes < 1:
            raise UserError(f"--scenes is {self.scenes}: give 1 or more.")
        from multimodal.evaluation import toybox

        return figures(toybox.evaluate(self.model, self.seed, self.scenes), self.json)


@dataclass(frozen=True)
class Evaluate:
    """Measure a model.

    Attributes:
        task: What to measure.
    """

    task: (
        Annotated[ZeroShot, tyro.conf.subcommand("zero-shot")]
        | Annotated[Retrieval, tyro.conf.subcommand("retrieval")]
        | Annotated[VqvaeFigures, tyro.conf.subcommand("vqvae")]
        | Annotated[DalleFigures, tyro.conf.subcommand("dalle")]
        | Annotated[Toybox, tyro.conf.subcommand("toybox")]
    )

    def run(self) -> int:
        """Hands over to the task."""
        return self.task.run()


@dataclass(frozen=True)
class Data:
    """Get a data set from its official addresses: resumes, verifies, unpacks.

    Attributes:
        action: What to do.
        name: Which data set.
        out: The data folder; give the same one to train as --data.
    """

    action: Annotated[Positional[Literal["fetch"]], tyro.conf.arg(metavar="{fetch}")]
    name: Annotated[
        Positional[Literal["coco", "flickr8k", "tiny-imagenet"]],
        tyro.conf.arg(metavar="{coco,flickr8k,tiny-imagenet}"),
    ]
    out: Folder = Path("data")

    def run(self) -> int:
        """Downloads with a progress bar."""
        from multimodal.data.fetch import ARCHIVES, SETS, fetch

        data_set = SETS[self.name]
        print(f"{self.name}: {data_set.terms}")
        show(fetch(self.name, self.out), unit="B")
        folder = self.out / data_set.folder
        print(
            f"Ready in {folder}; {folder / ARCHIVES} is no longer needed and may be emptied of "
            "its zip files."
        )
        return 0


@dataclass(frozen=True)
class Doctor:
    """Say what is installed, found and broken, and the cure; no request is made."""

    def run(self) -> int:
        """Prints the report; 1 if something is broken."""
        from multimodal.doctor import examine, exit_code, table

        rows = list(examine())
        print(table(rows, max(60, min(120, shutil.get_terminal_size((100, 24)).columns))))
        return exit_code(rows)


Command = (
    Annotated[Classify, tyro.conf.subcommand("classify")]
    | Annotated[Index, tyro.conf.subcommand("index")]
    | Annotated[Search, tyro.conf.subcommand("search")]
    | Annotated[Generate, tyro.conf.subcommand("generate")]
    | Annotated[Reconstruct, tyro.conf.subcommand("reconstruct")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Data, tyro.conf.subcommand("data")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: Words of the command line; None takes those of the process.

    Returns:
        The exit status: 0 done, 1 the doctor found something broken, 2 bad input, 130 stopped
        with Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # Korean on a terminal that knows none
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        command = tyro.cli(
            Command,
            prog="python -m multimodal",
            description="Classify, search and draw, with models trained in this repository.",
            args=words or ["--help"],
            config=(FlagCreatePairsOff, OmitSubcommandPrefixes, OmitArgPrefixes),
        )
        return command.run()
    except UserError as error:
        print(one_line(str(error)), file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(one_line(f"{place}{error.strerror or error}."), file=sys.stderr)
        return WRONG


def one_line(text: str) -> str:
    """A message without line breaks."""
    return " ".join(text.split())


def figures(values: dict[str, Any], json: Path | None) -> int:
    """Prints figures one a line and writes them to a file if asked to."""
    width = max(map(len, values))
    for name, value in values.items():
        print(
            f"{name:<{width}}  {value:.2f}"
            if isinstance(value, float)
            else f"{name:<{width}}  {value}"
        )
    write_json(json, values)
    return 0


def check_json(file: Path | None) -> None:
    """Says before the work, and not after it, that the result could not be written."""
    if file is not None and not file.absolute().parent.is_dir():
        raise UserError(f"--json {file}: there is no folder {file.parent}, so make it first.")
    if file is not None and file.is_dir():
        raise UserError(f"--json {file} is a folder: give the name of a file.")


def check_exists(option: str, path: Path | None) -> None:
    """Says before a model is loaded that its input is not there."""
    if path is not None and not path.exists():
        raise UserError(f"{option} {path}: there is no such file or folder, so check the path.")


def write_json(file: Path | None, values: dict[str, Any]) -> None:
    """Writes one object, whole or not at all."""
    if file is None:
        return
    text = json_format.dumps(values, ensure_ascii=False, indent=2, allow_nan=False)
    part = file.with_name(file.name + ".part")
    part.write_text(text + "\n", "utf-8")
    os.replace(part, file)
