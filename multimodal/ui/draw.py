"""The Draw tab: a prompt becomes pictures that grow row by row, and the reasons for every cell."""

import tempfile
from functools import partial
from pathlib import Path

import gradio as gr

from multimodal.errors import UserError
from multimodal.ui import examples, pictures, tokens
from multimodal.ui.context import HEAVILY, HEAVY, LIGHTLY, Context
from multimodal.ui.controls import SOURCES, world_menu
from multimodal.ui.drawer import MOST, Asked, Drawer

# prompts that each world can draw
EXAMPLES = {
    "dalle-toybox": (
        "a big red boat under a yellow sun at sea",
        "바다에 노란 해 아래 커다란 빨간 배가 있다",
        "a purple cat in the snow",
        "a big red house left of a big yellow tree in a meadow",
    ),
    "dalle-photos": (
        "a dark forest",
        "a snowy mountain",
        "the sea in golden light",
        "a city street",
        "a blue glacier",
        "밝은 숲",
        "a dog on a beach",
    ),
}


def build(context: Context, language: gr.Radio) -> None:
    """Lays the tab out and wires its events.

    Args:
        context: Shared models, texts and caches.
        language: The switch between ``en`` and ``ko``.
    """
    text, run = context.texts, Drawer(context)
    show = text.show
    drawn = gr.State(None)  # the latest pictures, finished or stopped
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            prompt = show(
                gr.Textbox(lines=1, max_lines=3, elem_id="draw-prompt"),
                label="draw_prompt",
                placeholder="draw_prompt_hint",
            )
            world = world_menu(context, "dalle", language, "draw-world")
            own = run.defaults(world.value)
            tried = {
                name: show(
                    gr.Dataset(
                        components=[prompt],
                        samples=[[words] for words in prompts],
                        elem_id=f"draw-examples-{name}",
                    ),
                    label=f"draw_examples_{name.removeprefix('dalle-')}",
                )
                for name, prompts in EXAMPLES.items()
                if name in dict(world.choices).values()
            }
            with gr.Row():
                images = show(
                    gr.Radio(list(range(1, MOST + 1)), value=MOST, scale=2, elem_id="draw-images"),
                    label="draw_images",
                )
                seed = show(
                    gr.Number(0, precision=0, scale=1, min_width=110, elem_id="draw-seed"),
                    label="draw_seed",
                    info="draw_seed_info",
                )
            with gr.Row():
                go = show(
                    gr.Button(variant="primary", min_width=110, elem_id="draw-go"), value="draw_go"
                )
                stop = show(
                    gr.Button(variant="stop", min_width=90, elem_id="draw-stop"), value="draw_stop"
                )
                others = show(gr.Button(min_width=110, elem_id="draw-others"), value="draw_others")
            show(gr.Markdown(elem_classes="fine"), value="draw_expect")
            with show(gr.Accordion(open=False, elem_id="draw-more"), label="more"):
                rerank = show(gr.Checkbox(True), label="draw_rerank", info="draw_rerank_info")
                temperature = show(
                    gr.Slider(0, 2, value=own["temperature"], step=0.05),
                    label="draw_temperature",
                    info="draw_temperature_info",
                )
                top_k = show(
                    gr.Slider(0, 1024, value=own["top_k"], step=1),
                    label="draw_top_k",
                    info="draw_top_k_info",
                )
                top_p = show(
                    gr.Slider(0, 1, value=own["top_p"], step=0.01),
                    label="draw_top_p",
                    info="draw_top_p_info",
                )
                guidance = show(
                    gr.Slider(0, 10, value=own["guidance_scale"], step=0.1),
                    label="draw_guidance",
                    info="draw_guidance_info",
                )
                reset = show(gr.Button(size="sm", elem_id="draw-reset"), value="draw_reset")
                picture = show(
                    gr.Image(type="filepath", sources=SOURCES, height=250, elem_id="draw-picture"),
                    label="draw_picture",
                )
                rows = show(
                    gr.Slider(1, own["grid"], value=own["grid"] // 2, step=1),
                    label="draw_rows",
                    info="draw_rows_info",
                )
        with gr.Column(scale=7, min_width=320):
            said = gr.HTML(
                elem_id="draw-said",
                padding=False,
                js_on_load="element.setAttribute('aria-live', 'polite')",
            )
            answer = gr.HTML(
                pictures.empty(text("draw_empty")), elem_id="draw-answer", padding=False
            )
    with gr.Tabs():
        with show(gr.Tab(), label="draw_tokens"):
            which = show(
                gr.Radio([1], value=1, visible=False, elem_id="draw-which"), label="draw_which"
            )
            grid = gr.HTML(
                pictures.empty(text("draw_tokens_empty")),
                elem_id="draw-tokens",
                js_on_load=tokens.GRID_SCRIPT,
            )
        with show(gr.Tab(), label="draw_codebook") as tab:
            _codebook(context, run, language, tab)
        with show(gr.Tab(), label="draw_reconstruct"):
            _reconstruct(context, run, language)

    def waiting(request: gr.Request, lang, *asked):
        wish = Asked(*asked)
        run.begin(wish, request.session_hash)
        return f'<p class="say">{text("draw_waiting", lang)}</p>', run.waiting(wish.images)

    def draw(request: gr.Request, rerank, lang, *asked):
        turn = run.turn(Asked(*asked), request.session_hash)
        if turn is None:
            return
        pictured = None
        try:
            for pictured in run.draw(turn, request.session_hash, lang):
                growing = run.said(pictured, rerank, lang, growing=True)
                yield growing, run.sheet(pictured, rerank, lang), gr.skip(), gr.skip()
        except UserError as error:
            yield "", pictures.problem(error.said(lang)), None, gr.update(visible=False)
            return
        if pictured is None:  # stopped while it waited
            yield "", pictures.empty(text("draw_empty", lang)), None, gr.update(visible=False)
            return
        count = len(pictured.drawing.images)
        choices = gr.update(
            choices=list(range(1, count + 1)),
            value=1,
            visible=pictured.drawing.done and count > 1,
        )
        yield run.said(pictured, rerank, lang), gr.skip(), pictured, choices

    def explained(pictured, which, rerank, lang):
        if pictured is None or not pictured.drawing.done:
            return pictures.empty(text("draw_tokens_empty", lang))
        return run.explain(pictured, which, rerank, lang)

    def retold(pictured, rerank, lang):
        if pictured is None:
            return "", pictures.empty(text("draw_empty", lang))
        return run.said(pictured, rerank, lang), run.sheet(pictured, rerank, lang)

    def own_settings(name):
        own = run.defaults(name)
        values = [own[key] for key in ("temperature", "top_k", "top_p", "guidance_scale")]
        return [*values, gr.update(maximum=own["grid"])]

    def example(name, sample, world):
        # settings that the user chose stay as long as the world does
        settings = [gr.skip()] * 5 if world == name else own_settings(name)
        return [sample[0], name, *settings]

    asked = [prompt, world, images, seed, temperature, top_k, top_p, guidance, picture, rows]
    settings = [temperature, top_k, top_p, guidance, rows]
    why = [drawn, which, rerank, language]

    def draws(trigger):
        """Lets an event draw; it may come again before it is done: the earlier drawing ends."""
        often = {"trigger_mode": "multiple"}
        trigger(waiting, [language, *asked], [said, answer], queue=False, **often, **LIGHTLY).then(
            draw,
            [rerank, language, *asked],
            [said, answer, drawn, which],
            show_progress="hidden",
            **often,
            **HEAVILY,
        ).then(explained, why, grid, show_progress="hidden", **HEAVILY)

    draws(go.click)
    draws(prompt.submit)
    draws(others.click(lambda seed, n: (seed or 0) + n, [seed, images], seed, **LIGHTLY).then)
    for name, prompts in tried.items():
        chosen = [prompt, world, *settings]
        draws(prompts.click(partial(example, name), [prompts, world], chosen, **LIGHTLY).then)
    stop.click(_stopper(run), None, None, queue=False, api_visibility="private")
    prompt.focus(run.warm_up, world, None, queue=False, **LIGHTLY)
    world.input(own_settings, world, settings, **LIGHTLY)
    reset.click(own_settings, world, settings, **LIGHTLY)
    which.input(explained, why, grid, **HEAVILY)
    for trigger in (rerank.input, language.change):
        trigger(retold, [drawn, rerank, language], [said, answer], **LIGHTLY).then(
            explained, why, grid, show_progress="hidden", **HEAVILY
        )
    _api(context, run)


def _stopper(run: Drawer):
    def stop(request: gr.Request):
        run.stop(request.session_hash)

    return stop


def _codebook(context: Context, run: Drawer, language: gr.Radio, tab: gr.Tab) -> None:
    """All codes as a wall of patches, made when it is first looked at."""
    with gr.Row():
        model = world_menu(context, "vqvae", language, "draw-codebook-world")
        order = context.texts.show(
            gr.Radio(value="usage", elem_id="draw-codebook-order"),
            label="draw_order",
            choices=[("draw_by_usage", "usage"), ("draw_by_colour", "colour")],
        )
    wall = gr.HTML(elem_id="draw-wall", js_on_load=tokens.WALL_SCRIPT)

    def shown(model, order, lang):
        try:
            return run.codebook(model, order, lang)
        except UserError as error:
            return pictures.problem(error.said(lang))

    for trigger in (tab.select, model.input, order.input):
        trigger(shown, [model, order, language], wall, **HEAVILY)
    # a wall that nobody has looked at yet is not made for a new language
    language.change(
        lambda wall, *asked: shown(*asked) if wall else gr.skip(),
        [wall, model, order, language],
        wall,
        **HEAVILY,
    )


def _reconstruct(context: Context, run: Drawer, language: gr.Radio) -> None:
    """The user's own photo beside what its tokens keep of it."""
    show = context.texts.show
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            image = show(
                gr.Image(type="filepath", sources=SOURCES, height=300, elem_id="draw-photo"),
                label="draw_photo",
            )
            model = world_menu(context, "vqvae", language, "draw-photo-world", "photos")
            shown = [str(file) for file, _ in examples.pictures(context.settings.data)]
            tried = show(
                gr.Dataset(components=[image], samples=[[file] for file in shown], type="index"),
                label="examples",
            )
        with gr.Column(scale=7, min_width=320):
            said = gr.HTML(
                pictures.empty(context.texts("draw_reconstruct_empty")),
                elem_id="draw-reconstructed",
                padding=False,
            )
            both = show(
                gr.ImageSlider(
                    interactive=False, visible=False, max_height=560, elem_id="draw-slider"
                ),
                label="draw_both",
            )

    def reconstructed(image, model, lang):
        if image is None:
            empty = pictures.empty(context.texts("draw_reconstruct_empty", lang))
            return empty, gr.update(visible=False)
        try:
            pair, say = run.reconstruct(image, model, lang)
        except UserError as error:
            return pictures.problem(error.said(lang)), gr.update(visible=False)
        return f'<p class="say">{say}</p>', gr.update(value=pair, visible=True)

    tried.click(lambda number: shown[number], tried, image, **LIGHTLY)
    for trigger in (image.change, model.input, language.change):
        trigger(
            reconstructed,
            [image, model, language],
            [said, both],
            trigger_mode="always_last",
            **HEAVILY,
        )


def _api(context: Context, run: Drawer) -> None:
    """The endpoints /generate and /reconstruct, for `gradio_client` and as MCP tools."""
    drawer, reader = (context.first(family, "photos") or "" for family in ("dalle", "vqvae"))

    def generate(
        prompt: str = "",
        model: str = drawer,
        images: int = MOST,
        seed: int = 0,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        guidance_scale: float | None = None,
    ) -> list[str]:
        """Draws pictures of a caption; each PNG file tells how it was made.

        Args:
            prompt: The caption, in English or Korean; empty draws whatever the model likes.
            model: A DALL-E by name.
            images: How many pictures, 1 to 4.
            seed: The first picture's seed; the others have the following ones.
            temperature: Under 1 safer, over 1 wilder; empty for the model's own, as below.
            top_k: Only the k likeliest tokens may be drawn; 0 allows all.
            top_p: Only the likeliest tokens that together have this probability.
            guidance_scale: How much the caption is exaggerated; 1 not at all.
        """
        asked = Asked(prompt, model, images, seed, temperature, top_k, top_p, guidance_scale)
        try:
            *_, drawn = run.drawings(asked)
            files = run.files(drawn, Path(tempfile.mkdtemp(prefix="draw-")))
        except UserError as error:
            raise gr.Error(str(error)) from error
        return [str(file) for file in files]

    def reconstruct(image: str, model: str = reader) -> str:
        """Turns a photo into the tokens of a VQ-VAE and back.

        Args:
            image: The photo.
            model: A VQ-VAE by name.
        """
        from multimodal.dalle.export import save_image

        try:
            (_, made), _ = run.reconstruct(image, model, "en")
            file = Path(tempfile.mkdtemp(prefix="draw-")) / "reconstruction.png"
            save_image(made, file)
        except UserError as error:
            raise gr.Error(str(error)) from error
        return str(file)

    once = {"concurrency_id": HEAVY, "concurrency_limit": 2}
    words = gr.Textbox("", visible=False)
    count, seed = (gr.Number(value, precision=0, visible=False) for value in (MOST, 0))
    temperature, top_p, guidance = (gr.Number(None, visible=False) for _ in range(3))
    top_k = gr.Number(None, precision=0, visible=False)
    gr.Button(visible=False).click(
        generate,
        [
            words,
            gr.Textbox(drawer, visible=False),
            count,
            seed,
            temperature,
            top_k,
            top_p,
            guidance,
        ],
        gr.File(file_count="multiple", visible=False),
        api_name="generate",
        **once,
    )
    gr.Button(visible=False).click(
        reconstruct,
        [gr.Image(type="filepath", visible=False), gr.Textbox(reader, visible=False)],
        gr.Image(type="filepath", format="png", visible=False),
        api_name="reconstruct",
        **once,
    )
