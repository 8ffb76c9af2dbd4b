"""The served app as programs use it: endpoints, many users at once, and no request to anywhere."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

LION = Path(gradio.__file__).parent / "media_assets" / "images" / "lion.jpg"
PAGE_SECONDS = 30  # the aim is 6 on an idle machine, see benchmarks/; tests share theirs

# runs inside the served process before anything else: writes down who else is called
WATCH = """
import os, socket
def local(address):
    host = str(address[0]) if isinstance(address, tuple) else "unix"
    return host.startswith("127.") or host in ("unix", "::1", "localhost", "0.0.0.0", "::", "None")
def note(address):
    with open(os.environ["CALLS"], "a") as file:
        file.write(f"{address}\\n")
connect, lookup = socket.socket.connect, socket.getaddrinfo
def watched(self, address):
    if not local(address):
        note(address)
    return connect(self, address)
def watched_lookup(host, *rest, **more):
    if not local((host,)):
        note((host,))
    return lookup(host, *rest, **more)
socket.socket.connect, socket.getaddrinfo = watched, watched_lookup
"""


@pytest.fixture(scope="module")
def served(serve, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "sitecustomize.py").write_text(WATCH)
    calls = folder / "calls.txt"
    with serve(folder, PYTHONPATH=str(folder), CALLS=str(calls)) as (url, seconds):
        yield url, seconds, calls


@pytest.fixture(scope="module")
def client(served):
    return Client(served[0], verbose=False)


def classify(client, labels, image=LION):
    return client.predict(image=handle_file(image), labels=labels, api_name="/classify")


def ask(client, question, image=LION, **more):
    return client.predict(image=handle_file(image), question=question, api_name="/answer", **more)


def test_the_page_comes_before_anything_heavy(served):
    assert served[1] < PAGE_SECONDS


def test_classify(client):
    labels = [p["label"] for p in classify(client, ["car", "cat", "고양이", "boat"])["predictions"]]
    assert set(labels[:2]) == {"cat", "고양이"}


def test_labels_with_commas(client):
    predictions = classify(client, "car, cat")["predictions"]
    assert [p["label"] for p in predictions] == ["cat", "car"]


def test_search_by_words_and_by_photo(client):
    found = client.predict(text="a red boat", top_k=3, api_name="/search")["hits"]
    assert [hit["rank"] for hit in found] == [1, 2, 3]
    assert "red" in found[0]["captions"][0] and "boat" in found[0]["captions"][0]
    found = client.predict(image=handle_file(LION), top_k=1, api_name="/search")["hits"]
    assert len(found) == 1


def test_answer(client):
    answers = ask(client, "What animal is this?", model="vilbert-photos", top_k=3)
    assert [set(answer) for answer in answers] == [{"answer", "probability"}] * 3
    shares = [answer["probability"] for answer in answers]
    assert shares == sorted(shares, reverse=True) and 0 < shares[-1] <= shares[0] < 1
    assert len(ask(client, "What animal is this?")) == 5


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda c, torn: classify(c, ["cat"], torn), "torn.jpg"),
        (lambda c, torn: classify(c, []), "There is no label"),
        (lambda c, torn: c.predict(api_name="/search"), "nothing to search with"),
        (lambda c, torn: c.predict(text="a", gallery="../x", api_name="/search"), "no gallery"),
        (lambda c, torn: c.predict(text="a", top_k=0, api_name="/search"), "top_k"),
        (lambda c, torn: ask(c, "What is this?", torn), "torn.jpg"),
        (lambda c, torn: ask(c, "  "), "There is no question"),
        (lambda c, torn: ask(c, "What is this?", top_k=0), "top_k"),
        (lambda c, torn: ask(c, "What is this?", model="vilbert-none"), "no model named"),
        (lambda c, torn: c.predict(image=None, question="a", api_name="/answer"), "no photo"),
    ],
)
def test_errors_are_sentences(client, call, said, tmp_path):
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(LION.read_bytes()[:3000])
    with pytest.raises(AppError) as caught:
        call(client, torn)
    assert said in str(caught.value) and "Traceback" not in str(caught.value)


def test_thirty_users_at_once(served, client):
    def ask(i):
        return classify(client, [f"thing {i}", "cat", "boat"])["predictions"]

    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(ask, range(30)))
    for i, answer in enumerate(answers):
        assert {p["label"] for p in answer} == {f"thing {i}", "cat", "boat"}
        assert sum(p["probability"] for p in answer) == pytest.approx(1, abs=1e-4)


def test_thirty_users_ask_at_once_and_each_gets_their_own(client):
    questions = ["What animal is this?", "Is it day or night?", "What color is the rock?"]
    alone = [ask(client, question) for question in questions]
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda i: ask(client, questions[i % 3]), range(30)))
    for i, answer in enumerate(answers):
        assert answer == alone[i % 3]


def test_nothing_calls_anywhere_but_itself(served, client):
    classify(client, ["cat", "dog"])
    ask(client, "What is this?")
    time.sleep(1)
    calls = served[2].read_text() if served[2].is_file() else ""
    assert calls == ""
