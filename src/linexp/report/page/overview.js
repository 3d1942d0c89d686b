// The figures of the overview: they follow the layer, the method and the score that are chosen.

function drawOverview(place, view, actions) {
  place.replaceChildren();
  const figures = [
    figure("Scores", (width) => scoreHistogram(width, view, actions)),
    figure("Score and length", (width) => scoreAgainstLength(width, view)),
    ablationFigure(view),
    figure("Most used concepts", () => usedConcepts(view, actions)),
  ].filter((one) => one);
  const { method, column, layer } = view;
  place.append(h("p", { class: "shown quiet" }, "Shown: ", [layer.name, method.name, column && column.title].filter(Boolean).join(", ")),
    ...figures.map((one) => one.element));
  for (const one of figures) {
    const drawn = one.draw(one.element.clientWidth);
    one.element.append(drawn || h("p", { class: "quiet" }, "There is nothing to draw: no neuron has a score."));
  }
}

const figure = (title, draw) => ({ element: h("figure", { class: "panel" }, h("h3", null, title)), draw });

const known = (column) => column.values.filter((value) => value !== null);

function scoreHistogram(width, view, actions) {
  const { column } = view;
  return column && known(column).length ? histogram(width, known(column), column.title, actions.chooseScores) : null;
}

function scoreAgainstLength(width, view) {
  const { column, method, layer } = view;
  if (!column || !known(column).length) return null;
  const points = layer.neurons.flatMap((neuron, at) => {
    if (column.values[at] === null || method.outcomes[at] === null) return [];
    const n = method.terms[at].length;
    // Moved a little to the side, always the same way, so that neurons of one length are told apart.
    const aside = (((neuron * 0.6180339887) % 1) - 0.5) * 0.6;
    return [{ neuron, x: n + aside, y: column.values[at], told: `neuron ${neuron}: ${n} terms, ${number(column.values[at])}` }];
  });
  const [least, most] = ends(points.map((point) => Math.round(point.x)));
  return dots(width, 220, points, { across: "terms", up: column.title, marks: Math.max(1, Math.min(7, most - least)) }, view.link);
}

// Figure 5, where both scores of the method shown exist; those of one judge if there are any.
function ablationFigure(view) {
  const columns = view.method.columns.filter((column) => !column.method);
  const ablation = columns.find((column) => /ablation/i.test(column.metric) && known(column).length);
  const correlations = columns.filter((column) => /correlation/i.test(column.metric) && known(column).length);
  const correlation = ablation && (correlations.find((column) => column.judge === ablation.judge) || correlations[0]);
  if (!correlation) return null;
  const points = view.layer.neurons.flatMap((neuron, at) => {
    const [x, y] = [correlation.values[at], ablation.values[at]];
    const told = `neuron ${neuron}: ${correlation.metric} ${number(x)}, ${ablation.metric} ${number(y)}`;
    return x === null || y === null ? [] : [{ neuron, x, y, told }];
  });
  const draw = (width) => dots(width, 220, points, { across: correlation.title, up: ablation.title }, view.link);
  return points.length ? figure("Ablation and correlation", draw) : null;
}

function usedConcepts(view, actions) {
  const counts = new Map();
  for (const terms of view.method.terms) for (const [concept] of terms) counts.set(concept, (counts.get(concept) || 0) + 1);
  const most = [...counts].sort((one, other) => other[1] - one[1] || one[0] - other[0]).slice(0, 12);
  if (!most.length) return h("p", { class: "quiet" }, "No explanation names a concept.");
  const rows = most.map(([concept, count]) => {
    const name = data.concepts[concept];
    const level = h("span", { class: "level" });
    level.style.width = `${(100 * count) / most[0][1]}%`;
    const button = h("button", { type: "button", title: "Show the neurons with this concept", onclick: () => actions.chooseText(name) }, name);
    return h("li", null, button, h("span", { class: "track" }, level), h("span", { class: "value" }, whole(count)));
  });
  return h("ol", { class: "used" }, rows);
}
