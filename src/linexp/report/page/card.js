// A neuron's card: what always stands there, and what is drawn when it is seen.

function makeCard(view, at) {
  const neuron = view.layer.neurons[at];
  const head = h("header", { class: "card-head" },
    h("div", { class: "card-name" },
      h("h3", null, h("a", { href: view.link(neuron), title: "Link to this neuron" }, `Neuron ${neuron}`)),
      h("p", { class: "formula" })),
    h("div", { class: "headline" }));
  return h("article", { class: "card", id: `neuron-${neuron}`, tabindex: -1, "aria-label": `Neuron ${neuron}` }, head);
}

// The head follows the method and the score that are chosen.
function writeHead(article, view, at) {
  article.querySelector(".formula").textContent = formula(view.method, at);
  const headline = article.querySelector(".headline");
  headline.replaceChildren();
  const column = view.column;
  if (column) headline.append(h("p", { class: "score" }, number(column.values[at]), plusMinus(errorOf(column, at))), h("p", { class: "quiet" }, column.title));
  if (view.layer.dead.has(at)) headline.append(h("p", { class: "quiet dead" }, "dead: below 0.01 on all images"));
}

const errorOf = (column, at) => (column.errors ? column.errors[at] : null);

const plusMinus = (error) => (error === null || error === undefined ? null : h("span", { class: "quiet" }, ` ± ${number(error)}`));

function cardBody(view, at, method) {
  const body = h("div", { class: "card-body" });
  const choose = (other) => {
    const drawn = cardBody(view, at, other);
    body.replaceWith(drawn);
    drawPlots(drawn, view, at, other);
  };
  const plots = h("div", { class: "plots" },
    h("div", { class: "methods" }, view.layer.methods.map((one) => methodBlock(view, one, at, one === method, choose))),
    h("figure", { class: "area" }), h("figure", { class: "predicted" }));
  body.append(...[plots, topPictures(view.layer, method, at), pictureRanges(view.layer, method, at)].filter(Boolean));
  return body;
}

function methodBlock(view, method, at, chosen, choose) {
  const several = view.layer.methods.length > 1;
  const name = several
    ? h("button", { type: "button", "aria-pressed": String(chosen), title: "Show this method in the figures", onclick: () => choose(method) }, method.name)
    : method.name;
  return h("section", { class: chosen ? "method chosen" : "method" },
    h("h4", null, name), scoreList(method, at), bars(method, at, !chosen));
}

function scoreList(method, at) {
  const items = method.columns
    .filter((column) => column.values[at] !== null)
    .map((column) => h("li", null, `${column.title} `, together(h("b", null, number(column.values[at])), plusMinus(errorOf(column, at)))));
  // It chose the terms, so it comes last and is no score.
  if (method.val[at] !== null) items.push(h("li", { class: "quiet" }, together(`val ${number(method.val[at])}`, plusMinus(method.valError[at]) || " ± ?"), ", selected"));
  const measure = method.measures && method.measures[at];
  if (measure) {
    const [name, value, p] = measure;
    const title = "what the method itself measures, on the images that it explains from";
    items.push(h("li", { class: "quiet", title }, `${name} `, together(number(value), p === null ? null : `, p ${number(p)}`)));
  }
  return h("ul", { class: "score-list" }, items);
}

// A number and its error stay on one line.
const together = (...parts) => h("span", { class: "together" }, parts);

// Drawn once the card is in its place: the drawings are as wide as theirs.
function drawPlots(body, view, at, method) {
  const [area, predicted] = [body.querySelector(".area"), body.querySelector(".predicted")];
  const names = shareNames(method, at);
  const below = view.layer.below[at];
  const flat = view.layer.high[at] === view.layer.low[at];
  if (flat || method.outcomes[at] === null) return;
  view.widths = view.widths || { area: area.clientWidth, predicted: predicted.clientWidth };
  area.append(areaChart(view.widths.area, view.layer, method, at, names), h("figcaption", null, legend(names), names.length && method.probabilities ? h("p", { class: "quiet" }, "Shares are mean probabilities.") : null, belowNote(below, view.layer)));
  if (!names.length) return;
  predicted.append(predictedChart(view.widths.predicted, view.layer.pointsOf(at, method)),
    h("figcaption", { class: "quiet" }, pointsNote(view.layer)));
}

const shareNames = (method, at) =>
  method.termsOf(at).map((term, place) => (method.other[at].includes(place) ? `other ${term.concept}` : term.concept));

const legend = (names) =>
  names.length ? h("ul", { class: "legend" }, [...names.map((name, place) => h("li", null, swatch(place), name)), h("li", null, swatchOf(REST), "other")].reverse()) : null;

const belowNote = (below, layer) =>
  below ? h("p", { class: "quiet" }, `${whole(below)} of ${whole(layer.nImages)} inputs are below 0 and in no range.`) : null;

const pointsNote = (layer) => {
  const rows = layer.places ? "regions of test images" : "test images";
  return layer.nPoints < layer.nTest
    ? `${whole(layer.nPoints)} of ${whole(layer.nTest)} ${rows}, drawn by lot; the line is where both are equal`
    : `${whole(layer.nTest)} ${rows}; the line is where both are equal`;
};

// Eight columns of pictures, the range of highest activation first.
function pictureRanges(layer, method, at) {
  const edges = layer.edges(at);
  if (layer.high[at] === layer.low[at]) return h("div");
  const most = Math.max(...[layer.high[at], method.high[at], -layer.low[at], -method.low[at]].map(Math.abs));
  const write = suited(most);
  const columns = Array.from({ length: N_RANGES }, (_, range) => {
    const place = N_RANGES - 1 - range;
    const pictures = layer.picturesOf(at, range, method);
    const title = place === 0 && layer.below[at] ? `below ${write(edges[1])}` : `${write(edges[place])} to ${write(edges[place + 1])}`;
    return h("li", { class: "range" }, h("h4", null, title),
      pictures.length ? pictures.map((picture) => pictureFigure(picture, most, write)) : h("p", { class: "quiet none" }, "no picture"));
  });
  return h("div", { class: "pictures" },
    h("p", { class: "quiet key" }, `${layer.places ? "Regions (dashed)" : "Pictures"} from eight ranges of activation, by lot: `,
      together(h("span", { class: "mark actual" }), "activation"), " ",
      together(h("span", { class: "mark guess" }), "predicted by the explanation")),
    h("ol", { class: "ranges", tabindex: 0, "aria-label": "Pictures from eight ranges of activation, highest first" }, columns));
}

function pictureFigure(picture, most, write) {
  const told = `activation ${write(picture.activation)}, predicted ${write(picture.predicted)}`;
  const where = picture.fitted ? "; the explanation was fitted or chosen on it" : "";
  const image = picture.source
    ? h("img", { src: picture.source, alt: `${picture.name}: ${told}`, title: `${picture.name}: ${told}${where}`, loading: "lazy", decoding: "async", width: 128, height: 128 })
    : h("span", { class: "unseen", title: `${told}${where}` }, picture.name);
  return h("figure", { class: picture.fitted ? "picture fitted" : "picture" }, picture.map ? withMap(image, picture.map) : image,
    h("figcaption", null, meter("actual", picture.activation, most, write), meter("guess", picture.predicted, most, write)));
}

function meter(kind, value, most, write) {
  const line = h("span", { class: `meter ${kind}` }, h("span", { class: "track" }, h("span", { class: "level" })), h("span", { class: "value" }, write(value)));
  line.querySelector(".level").style.width = `${Math.max(0, Math.min(100, (100 * value) / most))}%`;
  return line;
}
