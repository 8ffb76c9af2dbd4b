// The attention explorer of the Ask tab: a word lights the regions that it looked at, a region its
// words, in the layer and head that are chosen. `element` is the gr.HTML component, which stays
// while its contents change, so events are caught there.

let found = null; // what the server sent: maps, names, sentences
let layer = -1, head = -1; // the map that is shown, and which of its heads; -1: the mean of all
let chosen = { stream: "text", place: 0 }; // the token that is clicked

const all = (selector) => [...element.querySelectorAll(".gaze section:first-child " + selector)];
// the tokens of both streams in the order of the maps
const tokens = () => ({
  text: all(".word.piece"),
  vision: [...all(".word.whole"), ...all(".cell")],
});
const nameOf = (stream, place) =>
  stream === "vision"
    ? found.regions[place]
    : "“" + tokens().text[place].firstChild.textContent + "”";

function weight(map, query, key) {
  let sum = 0;
  const heads = head < 0 ? [...Array(map.heads).keys()] : [head];
  for (const h of heads) sum += (map.roots[(h * map.rows + query) * map.columns + key] / 255) ** 2;
  return sum / heads.length;
}

// what the chosen token looks at, or, where its stream is only looked at, who looks at it
function attended(map) {
  const looks = map.queries === chosen.stream;
  if (!looks && map.keys !== chosen.stream) return null;
  const weights = Array.from({ length: looks ? map.columns : map.rows }, (_, other) =>
    looks ? weight(map, chosen.place, other) : weight(map, other, chosen.place),
  );
  return { looks, stream: looks ? map.keys : map.queries, weights };
}

function say(map, line) {
  if (!line) return found.said[map.queries === "text" ? "words_only" : "regions_only"];
  const most = line.weights.map((share, place) => ({ share, place }));
  most.sort((a, b) => b.share - a.share);
  return fill(found.said[line.looks ? "to" : "from"], {
    token: nameOf(chosen.stream, chosen.place),
    most: most
      .slice(0, 3)
      .map(({ share, place }) => `${nameOf(line.stream, place)} (${percent(share)})`)
      .join(", "),
  });
}

function show() {
  const map = found.maps[layer], line = attended(map), both = tokens();
  for (const [stream, shown] of Object.entries(both)) {
    const weights = line?.stream === stream ? line.weights : null;
    const cells = weights?.slice(1) ?? [], least = Math.min(...cells), most = Math.max(...cells);
    const strongest = weights && Math.max(...weights);
    shown.forEach((token, place) => {
      const share = weights?.[place];
      const pressed = stream === chosen.stream && place === chosen.place;
      token.setAttribute("aria-pressed", pressed);
      token.title = weights ? percent(share) : "";
      if (token.matches(".cell")) {
        const step = Math.round(((share - least) / (most - least || 1)) * (found.colours.length - 1));
        token.classList.toggle("shown", pressed);
        token.style.setProperty("--heat", weights ? found.colours[step] : "");
      } else {
        token.style.setProperty("--listened", weights ? (100 * share) / strongest + "%" : "0%");
        token.querySelector(".share").textContent = weights ? percent(share) : "";
      }
    });
  }
  element.querySelectorAll(".block").forEach((b, i) => b.setAttribute("aria-pressed", i === layer));
  element.querySelector(".now.layer").textContent = map.name;
  element.querySelector(".now.head").textContent =
    head < 0
      ? fill(found.said.mean, { n: map.heads })
      : fill(found.said.head, { i: head + 1, n: map.heads });
  element.querySelector(".lookedsay").textContent = say(map, line);
}

function setLayer(number) {
  layer = (number + found.maps.length) % found.maps.length;
  const map = found.maps[layer];
  head = Math.min(head, map.heads - 1);
  // a block of the other stream shows that stream's summary: its first token
  if (!attended(map)) chosen = { stream: map.queries, place: 0 };
  show();
}

function step(what, by) {
  if (what === "layer") return setLayer(layer + by);
  const count = found.maps[layer].heads + 1; // the mean stands before the first
  head = ((head + 1 + by + count) % count) - 1;
  show();
}

element.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button || !found) return;
  if (button.matches(".step")) step(button.dataset.what, +button.dataset.by);
  if (button.matches(".block")) setLayer([...element.querySelectorAll(".block")].indexOf(button));
  for (const [stream, shown] of Object.entries(tokens())) {
    if (!shown.includes(button)) continue;
    chosen = { stream, place: shown.indexOf(button) };
    show();
  }
});

function begin() {
  const gaze = element.querySelector(".gaze");
  found = gaze && JSON.parse(gaze.dataset.found);
  if (!found) return;
  for (const map of found.maps) map.roots = Uint8Array.from(atob(map.roots), (c) => c.charCodeAt(0));
  chosen = { stream: "text", place: 0 };
  // the layer and head that were chosen stay for the next question to the same model
  if (layer < 0 || layer >= found.maps.length) [layer, head] = [found.start, -1];
  setLayer(layer);
}
watch("value", begin);
begin();
