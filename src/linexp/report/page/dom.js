// Elements, numbers and colours. Text always goes in as text, never as markup.

const COLOURS = 10; // --term-0 … --term-9 in the style sheet

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

const s = (tag, attributes, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

const minus = (text) => text.replace(/-/g, "−");

// Two decimals where that says something, else two digits and a power of ten.
function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size === 0 || (size >= 0.01 && size < 10000)) return minus((value + 0).toFixed(2)).replace(/^−0\.00$/, "0.00");
  const [digits, power] = value.toExponential(1).split("e");
  return minus(`${digits}·10`) + superscript(Number(power));
}

// How to write the activations of one neuron: all with two decimals if that suits the largest.
const suited = (most) => (value) => (most >= 0.1 && most < 10000 ? number(Math.round(value * 100) / 100) : number(value));

const superscript = (power) =>
  [...String(power)].map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)])).join("");

const thousands = new Intl.NumberFormat("en-US"); // made once: toLocaleString makes one for every number
const whole = (value) => thousands.format(value);

const REST = "var(--grid)"; // what has none of the concepts
const colour = (place) => `var(--term-${place % COLOURS})`;

// Round numbers that divide a range, for axes.
function ticks(low, high, about) {
  const rough = (high - low) / about || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((part) => part * power).find((part) => part >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) found.push(k * step);
  return { found, label: (value) => minus(tickLabel(value, step)) };
}

function tickLabel(value, step) {
  if (Math.abs(value) >= 10000 || (step < 0.001 && value !== 0)) return value.toExponential(0).replace("e+", "e");
  return (value + 0).toFixed(Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
}
