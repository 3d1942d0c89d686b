// Where a neuron fires: maps of cells, enlarged between the middles of these, and masks, over what the network sees.

const DRAWN = 160; // pixels across and down of what is drawn over a picture

// A layer's part: its neurons' maps on every picture that is shown.
class Places {
  constructor(packed, layer) {
    Object.assign(this, packed);
    this.layer = layer;
    this.maps = bytes(packed.maps);
    this.topMaps = bytes(packed.topMaps);
    this.cells = words(packed.cells, 16);
    this.top = words(packed.top, layer.shownBits);
    this.nTop = this.top.length / layer.neurons.length;
    this.nCells = packed.height * packed.width;
  }

  // The map on one of the pictures of the ranges, and the cell that is meant.
  shown(at, place) {
    return { values: piece(this.maps, place, this.nCells), ...marks(this.cuts[at], this.layer, at), cell: this.cells[place], grid: this };
  }

  onTop(at, k) {
    return { values: piece(this.topMaps, at * this.nTop + k, this.nCells), ...marks(this.cuts[at], this.layer, at), grid: this };
  }
}

// A method's part: what is predicted of the first pictures, and the masks of the first terms.
class Predicted {
  constructor(packed, method, places) {
    Object.assign(this, packed);
    [this.method, this.places] = [method, places];
    this.topMaps = bytes(packed.topMaps);
    this.masks = packed.masks ? bytes(packed.masks) : null;
    const perNeuron = method.terms.map((terms) => places.nTop * this.nMasks(terms));
    this.starts = [0];
    for (const count of perNeuron) this.starts.push(this.starts.at(-1) + count);
  }

  nMasks(terms) {
    return Math.min(3, terms.length);
  }

  onTop(at, k) {
    const { nTop, nCells } = this.places;
    return { values: piece(this.topMaps, at * nTop + k, nCells), ...marks(this.cuts[at], this.method, at), grid: this.places };
  }

  // Each of the masks as bits, the first pixel in the lowest.
  masksOf(at, k) {
    const [n, size] = [this.nMasks(this.method.terms[at]), (this.side * this.side) / 8];
    return Array.from({ length: n }, (_, term) => piece(this.masks, this.starts[at] + k * n + term, size));
  }
}

const piece = (values, place, size) => values.subarray(place * size, (place + 1) * size);

// Where the line goes and where heat begins, in steps of the maps, which go from a neuron's lowest value (0) to its
// highest (255). As the ranges do, heat begins at 0 unless all is below it.
function marks(cut, ends, at) {
  const step = (value) => (255 * (value - ends.low[at])) / (ends.high[at] - ends.low[at] || 1);
  return { cut: step(cut), cold: ends.high[at] > 0 ? Math.max(0, step(0)) : 0 };
}

// Bilinear, as the methods by pixels enlarge maps; beyond the outer middles a map goes on as it is there.
function enlarge(values, { height, width }) {
  const steps = (count) => Array.from({ length: DRAWN }, (_, pixel) => {
    const at = Math.min(Math.max(((pixel + 0.5) * count) / DRAWN - 0.5, 0), count - 1);
    const before = Math.min(Math.floor(at), Math.max(count - 2, 0));
    return [before, Math.min(before + 1, count - 1), at - before];
  });
  const [down, across] = [steps(height), steps(width)];
  const large = new Float32Array(DRAWN * DRAWN);
  down.forEach(([top, below, v], row) => across.forEach(([left, right, u], column) => {
    const upper = values[top * width + left] * (1 - u) + values[top * width + right] * u;
    const lower = values[below * width + left] * (1 - u) + values[below * width + right] * u;
    large[row * DRAWN + column] = upper * (1 - v) + lower * v;
  }));
  return large;
}

function sheet(kind, size) {
  const canvas = h("canvas", { class: kind, width: size, height: size, "aria-hidden": "true" });
  return [canvas, canvas.getContext("2d")];
}

// The higher, the yellower and the less transparent.
function heat({ cold }, large) {
  const [canvas, context] = sheet("heat", DRAWN);
  const image = context.createImageData(DRAWN, DRAWN);
  large.forEach((value, pixel) => {
    const warmth = Math.max(0, value - cold) / (255 - cold || 1);
    image.data.set([255, 40 + 200 * warmth, 20, 200 * warmth], 4 * pixel);
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

// A line around what is above the cut, light with a dark edge, and the box of a cell.
function contour({ cut, cell, grid }, large) {
  const [canvas, context] = sheet("contour", DRAWN);
  const above = (row, column) => row >= 0 && column >= 0 && row < DRAWN && column < DRAWN && large[row * DRAWN + column] > cut;
  const edge = [];
  for (let row = 0; row < DRAWN; row += 1) {
    for (let column = 0; column < DRAWN; column += 1) {
      if (above(row, column) && !(above(row - 1, column) && above(row + 1, column) && above(row, column - 1) && above(row, column + 1))) edge.push([column, row]);
    }
  }
  for (const [colour, reach] of [["#000000", 2], ["#ffffff", 1]]) {
    context.fillStyle = colour;
    for (const [column, row] of edge) context.fillRect(column - reach + 0.5, row - reach + 0.5, 2 * reach, 2 * reach);
  }
  if (cell !== undefined) {
    const [high, wide] = [DRAWN / grid.height, DRAWN / grid.width];
    const box = [(cell % grid.width) * wide + 1, Math.floor(cell / grid.width) * high + 1, wide - 2, high - 2];
    for (const [colour, dashes] of [["#000000", []], ["#ffffff", [4, 4]]]) {
      context.strokeStyle = colour;
      context.setLineDash(dashes);
      context.strokeRect(...box);
    }
  }
  return canvas;
}

function maskSheet(masks, side) {
  const [canvas, context] = sheet("masks", side);
  const style = getComputedStyle(document.documentElement);
  context.globalAlpha = 0.6;
  masks.forEach((bits, term) => {
    context.fillStyle = style.getPropertyValue(`--term-${term}`).trim();
    for (let pixel = 0; pixel < side * side; pixel += 1) {
      if ((bits[pixel >> 3] >> (pixel & 7)) & 1) context.fillRect(pixel % side, Math.floor(pixel / side), 1, 1);
    }
  });
  return canvas;
}

// A picture with a map, or with whatever else, over it.
const over = (image, ...sheets) => h("span", { class: "over" }, image, ...sheets);

function withMap(image, map) {
  const large = enlarge(map.values, map.grid);
  return over(image, heat(map, large), contour(map, large));
}

// The test pictures with the highest cells: what the neuron does, what is predicted, and the terms' masks.
function topPictures(layer, method, at) {
  const { places } = layer;
  if (!places || !places.nTop || layer.high[at] === layer.low[at] || method.outcomes[at] === null) return null;
  const told = method.terms[at].length ? method.places : null;
  const figures = Array.from({ length: places.nTop }, (_, k) => {
    const picture = layer.pictures[places.top[at * places.nTop + k]];
    const image = () => pictureOf(source(picture), data.names[picture], data.names[picture]);
    const tiles = [
      h("div", null, withMap(image(), places.onTop(at, k)), h("figcaption", null, mark("actual", "neuron"))),
      told && h("div", null, withMap(image(), told.onTop(at, k)), h("figcaption", null, mark("guess", "predicted"))),
      told && told.masks && h("div", null, over(image(), maskSheet(told.masksOf(at, k), told.side)), h("figcaption", null, "masks")),
    ];
    return h("figure", { class: "place" }, tiles.filter(Boolean));
  });
  const above = `${Math.round((1 - places.quantile) * 1e5) / 1e3} %`;
  return h("div", { class: "top" },
    h("p", { class: "quiet key" }, `Test images with the highest of ${places.height} × ${places.width} regions, as the network sees them; the line goes around the highest ${above} of the regions of training images. Heat begins at 0 and ends at the highest value, of the neuron and of what is predicted.`,
      told && told.masks ? " Masks are of the first terms, in their colours." : ""),
    h("div", { class: "places" }, figures));
}

const mark = (kind, text) => [h("span", { class: `mark ${kind}` }), text];

const pictureOf = (src, name, told) =>
  src ? h("img", { src, alt: told, title: told, loading: "lazy", decoding: "async", width: 128, height: 128 }) : h("span", { class: "unseen", title: told }, name);

// Heat on and off, on all cards at once.
function heatButton() {
  const root = document.documentElement;
  const shown = () => root.dataset.heat !== "off";
  return h("button", { type: "button", name: "heat", "aria-pressed": String(shown()), title: "Show how active each place is, or the line alone",
    onclick: (event) => {
      root.dataset.heat = shown() ? "off" : "on";
      event.currentTarget.setAttribute("aria-pressed", String(shown()));
    } }, "Heat");
}
