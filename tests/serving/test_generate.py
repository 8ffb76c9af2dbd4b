"""Drawing over the API, by one program and by thirty."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image, ImageChops

LION = Path(gradio.__file__).parent / "media_assets" / "images" / "lion.jpg"
PHOTOS = {"model": "dalle-photos", "api_name": "/generate"}


@pytest.fixture(scope="module")
def client(serve, tmp_path_factory):
    with serve(tmp_path_factory.mktemp("drawn")) as (url, _):
        yield Client(url, verbose=False)


def test_generate_gives_files_that_tell_how_they_were_made(client):
    files = client.predict(prompt="a dark forest", images=2, seed=7, top_k=50, **PHOTOS)
    notes = [json.loads(Image.open(file).text["multimodal"]) for file in files]
    assert [note["seed"] for note in notes] == [7, 8]
    assert notes[0]["prompt"] == "a dark forest" and notes[0]["top_k"] == 50
    (again,) = client.predict(prompt="a dark forest", images=1, seed=8, top_k=50, **PHOTOS)
    # the same tokens; two pictures decoded together may round a pixel otherwise than one alone
    apart = ImageChops.difference(Image.open(again), Image.open(files[1]))
    assert max(high for _, high in apart.getextrema()) <= 2


def test_reconstruct(client):
    made = client.predict(image=handle_file(LION), model="vqvae-photos", api_name="/reconstruct")
    width, height = Image.open(made).size
    assert width == height


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"images": 9}, "images"),
        ({"temperature": -1}, "temperature"),
        ({"model": "dalle-none"}, "no model named"),
    ],
)
def test_errors_are_sentences(client, wrong, said):
    with pytest.raises(AppError) as caught:
        client.predict(**{"prompt": "a dark forest", **PHOTOS, **wrong})
    assert said in str(caught.value) and "Traceback" not in str(caught.value)


def test_thirty_users_each_get_their_own(client):
    def ask(seed):
        (file,) = client.predict(prompt="a dark forest", images=1, seed=seed, **PHOTOS)
        return json.loads(Image.open(file).text["multimodal"])["seed"]

    with ThreadPoolExecutor(30) as pool:
        assert list(pool.map(ask, range(30))) == list(range(30))
