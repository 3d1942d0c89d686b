// What is chosen, which cards that leaves in which order, and drawing those that are seen.

const place = (id) => document.getElementById(id);
const [cards, toolbar, status] = [place("neurons"), place("toolbar"), place("status")];
const layers = data.layers.map(() => null);
const PRINTED = 30;

// What is shown: one layer, one method that leads, one score.
const view = {
  number: 0,
  get layer() {
    layers[view.number] = layers[view.number] || new Layer(data.layers[view.number]);
    return layers[view.number];
  },
  lead: 0,
  get method() {
    return view.layer.methods[Math.min(view.lead, view.layer.methods.length - 1)];
  },
  title: null,
  get column() {
    const { columns } = view.method;
    // Probabilities that explain would flatter themselves: there another judge comes first.
    const judged = view.method.probabilities && columns.find((column) => column.judge && !column.method);
    return columns.find((column) => column.title === view.title) || judged || columns[0];
  },
  link: (neuron) => `#${data.layers.length > 1 ? `${encodeURIComponent(data.layers[view.number].name)}/` : ""}neuron-${neuron}`,
  sort: "sure",
  text: "",
  low: null,
  high: null,
  widths: null, // of the two drawings of a card: the same in all, measured in the first
};

let articles = []; // of the layer shown, by place
let order = []; // places that pass the filters, sorted
const seen = new IntersectionObserver(
  (entries) => entries.forEach((entry) => (entry.isIntersecting ? draw(entry.target) : undraw(entry.target, entry.boundingClientRect.height))),
  { rootMargin: "900px 0px" });

function draw(article) {
  if (article.classList.contains("drawn") || article.hidden) return;
  const at = view.layer.place.get(Number(article.id.slice("neuron-".length)));
  const body = cardBody(view, at, view.method);
  article.classList.add("drawn");
  article.style.minHeight = "";
  article.append(body);
  drawPlots(body, view, at, view.method);
}

// Its place is kept: what is not drawn is as high as it was.
function undraw(article, height) {
  if (!article.classList.contains("drawn")) return;
  article.style.minHeight = `${height}px`;
  article.querySelector(".card-body").remove();
  article.classList.remove("drawn");
}

function redraw() {
  view.widths = null;
  for (const article of articles) {
    if (!article.classList.contains("drawn")) continue;
    undraw(article, 0);
    draw(article);
  }
}

function passes(at) {
  const { method, column } = view;
  if (method.outcomes[at] === null) return false;
  if (view.text && !method.text[at].includes(view.text) && String(view.layer.neurons[at]) !== view.text) return false;
  if (view.low === null && view.high === null) return true;
  const value = column ? column.values[at] : null;
  return value !== null && (view.low === null || value >= view.low) && (view.high === null || value <= view.high);
}

// A score less its error: of many scores the highest are too high by chance. Without an error it comes last.
const atLeast = (column, at) => column.values[at] - (errorOf(column, at) || 0);
const isUnsure = (at) => Number(view.sort === "sure" && Boolean(view.column) && errorOf(view.column, at) === null);

// What cards are sorted by; highest first unless the name ends in "-up". What is not known comes last.
function sortKey() {
  const [name, up] = view.sort.endsWith("-up") ? [view.sort.slice(0, -3), 1] : [view.sort, -1];
  if (name === "index") return (at) => view.layer.neurons[at];
  if (name === "length") return (at) => up * view.method.terms[at].length;
  const column = name === "score" || name === "sure" ? view.column : view.method.columns.find((one) => one.title === name);
  const value = name === "sure" ? atLeast : (column, at) => column.values[at];
  return (at) => (column && column.values[at] !== null ? up * value(column, at) : Infinity);
}

function arrange() {
  const key = sortKey();
  const all = view.layer.neurons.map((_, at) => at);
  order = all.filter(passes).sort((one, other) => isUnsure(one) - isUnsure(other) || key(one) - key(other) || one - other);
  const kept = new Set(order);
  all.forEach((at) => (articles[at].hidden = !kept.has(at)));
  cards.replaceChildren(...order.map((at) => articles[at]));
  const total = view.layer.neurons.length;
  status.textContent = order.length === total ? `${whole(total)} neurons` : `${whole(order.length)} of ${whole(total)} neurons`;
}

// Anew from the choice of layer, method and score on.
function show() {
  const made = articles.length && articles.layer === view.number;
  if (!made) {
    seen.disconnect();
    articles = view.layer.neurons.map((_, at) => makeCard(view, at));
    articles.layer = view.number;
  }
  articles.forEach((article, at) => writeHead(article, view, at));
  drawOverview(place("figures"), view, actions);
  drawToolbar();
  arrange();
  if (made) redraw();
  else articles.forEach((article) => seen.observe(article));
}

const actions = {
  chooseText(text) {
    view.text = text.toLowerCase();
    show();
    toolbar.scrollIntoView({ block: "start" });
  },
  chooseScores(low, high) {
    [view.low, view.high] = [Number(low.toFixed(4)), Number(high.toFixed(4))];
    show();
    toolbar.scrollIntoView({ block: "start" });
  },
};

function choice(name, text, options, chosen, change) {
  const list = options.map(([value, shown]) => h("option", { value, selected: value === chosen }, shown));
  return h("label", null, h("span", null, text), h("select", { name, onchange: (event) => change(event.target.value) }, list));
}

function field(name, text, kind, value, change, more) {
  const input = h("input", { name, type: kind, value, ...more, oninput: (event) => change(event.target.value) });
  return h("label", null, h("span", null, text), input);
}

function drawToolbar() {
  const columns = view.method.columns.map((column) => [column.title, column.title]);
  const sorts = [["sure", "highest score − error"], ["score", "score, highest first"], ["score-up", "score, lowest first"], ["length", "longest first"], ["length-up", "shortest first"], ["index", "index"],
    ...columns.filter(([title]) => !view.column || title !== view.column.title).map(([title]) => [title, `${title}, highest first`])];
  const bound = (side) => (text) => { view[side] = text.trim() === "" ? null : Number(text); arrange(); };
  const parts = [
    data.layers.length > 1 && choice("layer", "Layer", data.layers.map((layer, k) => [String(k), layer.name]), String(view.number),
      (value) => { view.number = Number(value); show(); }),
    view.layer.methods.length > 1 && choice("method", "Method", view.layer.methods.map((method, k) => [String(k), method.name]),
      String(view.layer.methods.indexOf(view.method)), (value) => { view.lead = Number(value); show(); }),
    columns.length > 1 && choice("column", "Score", columns, view.column.title, (value) => { view.title = value; show(); }),
    field("text", "Concept or number", "search", view.text, (text) => { view.text = text.trim().toLowerCase(); arrange(); }, { placeholder: "snow" }),
    field("low", "Score from", "number", view.low, bound("low"), { step: "any", class: "bound" }),
    field("high", "to", "number", view.high, bound("high"), { step: "any", class: "bound" }),
    choice("sort", "Sort by", sorts, view.sort, (value) => { view.sort = value; arrange(); }),
    view.layer.places && heatButton(),
    h("span", { class: "steps" },
      h("button", { type: "button", onclick: () => step(-1), "aria-label": "Previous neuron", title: "Previous neuron (K or ←)" }, "‹"),
      h("button", { type: "button", onclick: () => step(1), "aria-label": "Next neuron", title: "Next neuron (J or →)" }, "›")),
  ].filter(Boolean);
  const focused = document.activeElement && toolbar.contains(document.activeElement) ? document.activeElement.name : null;
  toolbar.replaceChildren(...parts);
  toolbar.hidden = false;
  document.documentElement.style.setProperty("--bar", `${toolbar.offsetHeight}px`);
  if (focused && toolbar.elements[focused]) toolbar.elements[focused].focus();
}

// The card that was gone to, or the first one below the toolbar.
function current() {
  const held = document.activeElement && document.activeElement.closest(".card");
  if (held && !held.hidden) return order.findIndex((at) => articles[at] === held);
  const line = toolbar.getBoundingClientRect().bottom + 40;
  return order.findIndex((at) => articles[at].getBoundingClientRect().bottom > line);
}

function step(by) {
  if (!order.length) return;
  const held = document.activeElement && document.activeElement.closest(".card");
  const from = current();
  const next = held || by < 0 ? from + by : from;
  go(order[Math.max(0, Math.min(order.length - 1, next))]);
}

function go(at) {
  const article = articles[at];
  draw(article);
  article.scrollIntoView({ block: "start" });
  article.focus({ preventScroll: true });
  history.replaceState(null, "", view.link(view.layer.neurons[at]));
  // Cards above may have got their true height by now.
  requestAnimationFrame(() => article.scrollIntoView({ block: "start" }));
}

function follow() {
  const found = /^#(?:(.*)\/)?neuron-(-?\d+)$/.exec(location.hash);
  if (!found) return;
  const number = found[1] === undefined ? view.number : data.layers.findIndex((layer) => encodeURIComponent(layer.name) === found[1]);
  if (number < 0) return;
  if (number !== view.number) { view.number = number; show(); }
  const at = view.layer.place.get(Number(found[2]));
  if (at === undefined) { status.textContent = `There is no neuron ${found[2]} on this page.`; return; }
  if (!order.includes(at)) {
    [view.text, view.low, view.high] = ["", null, null];
    if (view.method.outcomes[at] === null) view.lead = view.layer.methods.findIndex((method) => method.outcomes[at] !== null);
    show();
  }
  go(at);
}

function press(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing) { if (event.key === "Escape") event.target.blur(); return; }
  const inside = event.target.closest && event.target.closest(".ranges");
  if (event.key === "j" || (event.key === "ArrowRight" && !inside)) step(1);
  else if (event.key === "k" || (event.key === "ArrowLeft" && !inside)) step(-1);
  else if (event.key === "/") toolbar.elements.text.focus();
  else return;
  event.preventDefault();
}

// Dark or light, as the system has it until the button is pressed.
function setUpTheme() {
  const button = place("theme");
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const tell = () => (button.textContent = dark() ? "Light" : "Dark");
  button.hidden = false;
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; tell(); });
  system.addEventListener("change", tell);
  tell();
}

// On paper: the overview and the first cards of the list.
function setUpPrint() {
  addEventListener("beforeprint", () => order.forEach((at, k) => {
    articles[at].classList.toggle("unprinted", k >= PRINTED);
    if (k < PRINTED) draw(articles[at]);
  }));
  addEventListener("afterprint", () => articles.forEach((article) => article.classList.remove("unprinted")));
}

function setUpResize() {
  let width = innerWidth;
  let waiting = 0;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(() => { drawOverview(place("figures"), view, actions); drawToolbar(); redraw(); }, 120);
  });
}

toolbar.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", follow);
addEventListener("keydown", press);
setUpTheme();
setUpPrint();
setUpResize();
show();
follow();
