// An explanation as weighted bars: its colours are those of the area chart.

function bars(method, at, other) {
  const terms = method.termsOf(at);
  if (!terms.length) return h("p", { class: "quiet" }, whyNot(method.outcomes[at], method.bias[at]));
  const most = Math.max(...terms.map((term) => Math.abs(term.weight) + (term.error || 0)));
  const signed = terms.some((term) => term.weight < 0);
  const rows = terms.map((term, place) =>
    h("li", { class: "term" },
      h("span", { class: "concept" }, swatch(place), h("span", { title: judgedBy(term) }, term.concept), also(term), kept(term), unknown(term)),
      bar(term, place, most, signed),
      h("span", { class: "weight" }, number(term.weight), error(term)),
    ),
  );
  return h("div", { class: other ? "explanation other" : "explanation" },
    h("ol", { class: "terms" }, rows),
    h("p", { class: "bias quiet" }, `bias ${number(method.bias[at])}`),
    linkOf(method, at),
  );
}

// How the activation rises with the sum: its knots, from left below to right above.
function linkOf(method, at) {
  const link = method.links && method.links[at];
  if (!link) return null;
  const [inputs, outputs] = link;
  const [width, height] = [120, 48];
  const place = (value, values, size) => 3 + ((value - values[0]) / (values[values.length - 1] - values[0])) * (size - 6);
  const knots = inputs.map((value, k) => [place(value, inputs, width), height - place(outputs[k], outputs, height)]);
  const told = inputs.map((value, k) => `${number(value)} → ${number(outputs[k])}`).join(", ");
  return h("div", { class: "link quiet" },
    s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `the sum and the activation predicted: ${told}` },
      s("polyline", { points: knots.map((knot) => knot.join(",")).join(" ") }),
      knots.map(([cx, cy]) => s("circle", { cx, cy, r: 2 }))),
    h("span", {}, `link: ${told}`),
  );
}

const swatch = (place) => swatchOf(colour(place));

const swatchOf = (fill) => {
  const mark = h("span", { class: "swatch", "aria-hidden": "true" });
  mark.style.setProperty("--colour", fill);
  return mark;
};

const error = (term) => (term.error === undefined || term.error === null ? null : h("span", { class: "quiet" }, ` ± ${number(term.error)}`));

const kept = (term) =>
  term.kept === undefined || term.kept === null || term.kept >= 0.5
    ? null
    : [" ", h("span", { class: "kept quiet", title: "share of random redraws of the images in which the whole procedure chose this concept again" },
        `chosen again in ${Math.round(term.kept * 100)}% of redraws`)];

const also = (term) =>
  term.also.length ? [" ", h("span", { class: "kept quiet", title: "other words found for this neuron that mean the same" }, `also: ${term.also.join(", ")}`)] : null;

const simulability = ({ name, value }) => `simulability by ${name} ${value === null ? "undefined" : number(value)}`;

const judgedBy = (term) => (term.judged.length ? term.judged.map(simulability).join(", ") : null);

// Of what a judge does not know, it cannot say whether it is true.
const unknown = (term) =>
  term.judged.filter((judge) => judge.low).flatMap((judge) => [" ", h("span", { class: "kept quiet", title: `${simulability(judge)}: it means something else by this word, or nothing` },
    `not known to ${judge.name}`)]);

// From zero, to the left where a weight is negative; the whisker is the standard error.
function bar(term, place, most, signed) {
  const [width, height] = [100, 12];
  const zero = signed ? width / 2 : 0;
  const unit = (width - zero) / most;
  const end = zero + term.weight * unit;
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", class: "weight-bar", "aria-hidden": "true" },
    s("rect", { x: Math.min(zero, end), width: Math.max(0.8, Math.abs(end - zero)), y: 1, height: height - 2, fill: colour(place) }));
  if (term.error) {
    const [from, to] = [end - term.error * unit, end + term.error * unit];
    svg.append(s("line", { x1: from, x2: to, y1: height / 2, y2: height / 2, class: "whisker" }));
  }
  if (signed) svg.append(s("line", { x1: zero, x2: zero, y1: 0, y2: height, class: "zero" }));
  return svg;
}

function whyNot(outcome, bias) {
  if (outcome === "constant") return `Constant on the training images (${number(bias)}), so there is nothing to explain.`;
  if (outcome === "empty") return "No concept predicts this neuron.";
  return "This method does not explain this neuron.";
}

// The sum in one line, for the card that is not drawn yet and for finding words on the page.
function formula(method, at) {
  const terms = method.termsOf(at);
  if (!terms.length) return whyNot(method.outcomes[at], method.bias[at]);
  return terms
    .map((term, k) => `${term.weight < 0 ? (k ? " −\u00a0" : "−") : k ? " +\u00a0" : ""}${number(Math.abs(term.weight))}·${term.concept}`)
    .join("");
}
