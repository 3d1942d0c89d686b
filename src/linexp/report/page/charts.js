// Drawings in SVG, as wide as the place they are given: text keeps its size on every screen.

function frame(width, height, label, margin) {
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": label, class: "chart" });
  const inner = { left: margin.left, top: margin.top, right: width - margin.right, bottom: height - margin.bottom };
  return { svg, inner };
}

const scale = (low, high, from, to) => (value) => from + ((to - from) * (value - low)) / (high - low || 1);

const label = (x, y, text, anchor, kind) => s("text", { x, y, "text-anchor": anchor || "middle", class: kind || "tick" }, text);

function axisAcross(svg, inner, low, high, title, about) {
  const x = scale(low, high, inner.left, inner.right);
  const marks = ticks(low, high, about || Math.max(2, Math.floor((inner.right - inner.left) / 55)));
  svg.append(s("line", { x1: inner.left, x2: inner.right, y1: inner.bottom, y2: inner.bottom, class: "rule" }));
  for (const mark of marks.found) svg.append(label(x(mark), inner.bottom + 15, marks.label(mark)));
  if (title) svg.append(label((inner.left + inner.right) / 2, inner.bottom + 33, title, "middle", "axis"));
  return x;
}

function axisUp(svg, inner, low, high, title, about, write) {
  const y = scale(low, high, inner.bottom, inner.top);
  const marks = ticks(low, high, about || 4);
  for (const mark of marks.found) {
    svg.append(s("line", { x1: inner.left, x2: inner.right, y1: y(mark), y2: y(mark), class: "grid" }));
    svg.append(label(inner.left - 6, y(mark) + 4, write ? write(mark) : marks.label(mark), "end"));
  }
  if (title) svg.append(label(inner.left - 30, inner.top - 9, title, "start", "axis"));
  return y;
}

// How a score is distributed. Choosing a bar shows its neurons.
function histogram(width, values, title, choose) {
  const { svg, inner } = frame(width, 220, `Histogram of ${title}`, { left: 40, right: 10, top: 26, bottom: 40 });
  const [low, high] = ends(values);
  const bins = Array.from({ length: 24 }, () => 0);
  const size = (high - low) / bins.length || 1;
  for (const value of values) bins[Math.min(bins.length - 1, Math.floor((value - low) / size))] += 1;
  const y = axisUp(svg, inner, 0, 1.15 * Math.max(...bins), "neurons", Math.min(4, Math.max(...bins)));
  const x = axisAcross(svg, inner, low, low + size * bins.length, title);
  bins.forEach((count, bin) => {
    const from = low + bin * size;
    const told = `${whole(count)} neurons from ${number(from)} to ${number(from + size)}`;
    svg.append(
      s("rect", { x: x(from) + 0.5, width: Math.max(1, x(from + size) - x(from) - 1), y: y(count), height: y(0) - y(count), class: "bar" }),
      s("rect", { x: x(from), width: x(from + size) - x(from), y: inner.top, height: inner.bottom - inner.top, class: "target",
        onclick: () => choose(from, from + size) }, s("title", null, told)),
    );
  });
  mean(svg, inner, x, values);
  return svg;
}

function mean(svg, inner, x, values) {
  const middle = values.reduce((sum, value) => sum + value, 0) / values.length;
  svg.append(s("line", { x1: x(middle), x2: x(middle), y1: inner.top, y2: inner.bottom, class: "mean" }));
  const end = x(middle) > inner.right - 80;
  svg.append(label(x(middle) + (end ? -5 : 5), inner.top + 6, `mean ${minus(middle.toFixed(3))}`, end ? "end" : "start", "note"));
}

function ends(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return [low, high];
}

// A little room on both sides, so that no point stands on the frame.
function padded(values) {
  const [low, high] = ends(values);
  const room = (high - low) * 0.04 || Math.abs(low) * 0.1 || 0.1;
  return [low - room, high + room];
}

// One dot per neuron, a link to its card. The dots are no stops of the tab key: the cards are.
function dots(width, height, points, titles, link) {
  const { svg, inner } = frame(width, height, `${titles.up} against ${titles.across}, one point for each neuron`,
    { left: 44, right: 10, top: 26, bottom: 40 });
  const [left, right] = padded(points.map((point) => point.x));
  const [low, high] = padded(points.map((point) => point.y));
  const y = axisUp(svg, inner, low, high, titles.up, 4);
  const x = axisAcross(svg, inner, left, right, titles.across, titles.marks);
  for (const point of points) {
    const dot = s("circle", { cx: x(point.x).toFixed(1), cy: y(point.y).toFixed(1), r: 3 });
    svg.append(s("a", { href: link(point.neuron), tabindex: -1, class: "dot" }, dot, s("title", null, point.told)));
  }
  return svg;
}

// Figure 3: stacked shares over the ranges of activation, and how many inputs are in each. Where concepts overlap, plain
// shares stack to more than all inputs.
function areaChart(width, layer, method, at, names) {
  const { svg, inner } = frame(width, 236, "Area chart", { left: 44, right: 12, top: 26, bottom: 60 });
  const edges = layer.edges(at);
  const counts = layer.countsOf(at);
  const stacked = (range) => names.reduce((sum, _, term) => sum + method.share(at, range, term), method.rest(at, range));
  const highest = Math.max(1, ...counts.map((count, range) => (count ? stacked(range) : 0)));
  const y = axisUp(svg, inner, 0, highest, "share of inputs", 4, (mark) => `${Math.round(mark * 100)}%`);
  const x = scale(edges[0], edges[N_RANGES], inner.left, inner.right);
  const bottoms = counts.map(() => 0);
  const runs = filledRuns(counts);
  const stack = (share, fill, name) => {
    const tops = bottoms.map((bottom, range) => bottom + share(range));
    for (const run of runs) svg.append(band(run, x, y, edges, bottoms, tops, fill, name));
    tops.forEach((top, range) => (bottoms[range] = top));
  };
  names.forEach((name, term) => stack((range) => method.share(at, range, term), colour(term), name));
  stack((range) => method.rest(at, range), REST, "other");
  axisAcross(svg, inner, edges[0], edges[N_RANGES], null); // over the bands, whose outlines would hide it
  counts.forEach((count, range) => {
    const middle = x((edges[range] + edges[range + 1]) / 2);
    svg.append(label(middle, inner.bottom + 33, short(count), "middle", "count"));
    if (range) svg.append(s("line", { x1: x(edges[range]), x2: x(edges[range]), y1: inner.bottom, y2: inner.bottom + 4, class: "rule" }));
  });
  svg.append(label(inner.left - 6, inner.bottom + 33, "inputs", "end"));
  svg.append(label((inner.left + inner.right) / 2, inner.bottom + 52, "activation", "middle", "axis"));
  svg.setAttribute("aria-label", toldArea(names, method, at, counts));
  svg.setAttribute("role", "img");
  return svg;
}

// Neighbouring ranges that hold inputs: over an empty one nothing is drawn.
function filledRuns(counts) {
  const runs = [];
  counts.forEach((count, range) => {
    if (!count) return;
    if (range && counts[range - 1]) runs.at(-1).push(range);
    else runs.push([range]);
  });
  return runs;
}

function band(run, x, y, edges, bottoms, tops, fill, name) {
  const middle = (range) => x((edges[range] + edges[range + 1]) / 2);
  // Flat from the outer edge to the first centre and from the last one: a lonely range is a block.
  const across = [x(edges[run[0]]), ...run.map(middle), x(edges[run.at(-1) + 1])];
  const along = [run[0], ...run, run.at(-1)];
  const up = across.map((at, k) => `${at.toFixed(1)},${y(tops[along[k]]).toFixed(1)}`);
  const down = across.map((at, k) => `${at.toFixed(1)},${y(bottoms[along[k]]).toFixed(1)}`).reverse();
  return s("polygon", { points: [...up, ...down].join(" "), fill, class: "band" }, s("title", null, name));
}

const short = (count) => (count < 10000 ? whole(count) : `${Math.round(count / 1000)}k`);

const percent = (share) => `${Math.round(share * 100)}%`;

function toldArea(names, method, at, counts) {
  const filled = counts.map((count, range) => (count ? range : -1)).filter((range) => range >= 0);
  const say = (range) =>
    [...names.map((name, term) => `${name} ${percent(method.share(at, range, term))}`), `other ${percent(method.rest(at, range))}`].join(", ");
  if (!filled.length) return "No input is active.";
  return `Share of inputs with each concept. Lowest range: ${say(filled[0])}. Highest range: ${say(filled.at(-1))}.`;
}

// Predicted against actual activation on test images.
function predictedChart(width, points) {
  const { svg, inner } = frame(width, 236, "Predicted against actual activation on test images", { left: 44, right: 12, top: 26, bottom: 40 });
  const [left, right] = padded(points.map((point) => point[0]));
  const [low, high] = padded(points.map((point) => point[1]));
  const y = axisUp(svg, inner, low, high, "actual", 4);
  const x = axisAcross(svg, inner, left, right, "predicted", Math.max(2, Math.floor(width / 90)));
  const from = Math.max(left, low);
  const to = Math.min(right, high);
  if (to > from) svg.append(s("line", { x1: x(from), x2: x(to), y1: y(from), y2: y(to), class: "mean" }));
  for (const [across, up] of points) svg.append(s("circle", { cx: x(across).toFixed(1), cy: y(up).toFixed(1), r: 2.4, class: "point" }));
  svg.setAttribute("role", "img");
  return svg;
}
