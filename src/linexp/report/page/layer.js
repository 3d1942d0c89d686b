// The page's data: whole numbers in base64, quantised between two ends.

const data = JSON.parse(document.getElementById("data").textContent);
const thumbnails = JSON.parse(document.getElementById("thumbnails").textContent);
const bare = new Set(data.bare);

function bytes(text) {
  const raw = atob(text);
  const found = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k += 1) found[k] = raw.charCodeAt(k);
  return found;
}

const words = (text, bits) => {
  const { buffer } = bytes(text);
  if (bits === 8) return new Uint8Array(buffer);
  return bits === 16 ? new Uint16Array(buffer) : new Uint32Array(buffer);
};

const N_RANGES = 8;

class Method {
  constructor(packed, layer) {
    Object.assign(this, packed);
    this.layer = layer;
    this.starts = [0];
    for (const terms of packed.terms) this.starts.push(this.starts.at(-1) + terms.length * N_RANGES);
    this.shares = bytes(packed.shares);
    this.none = bytes(packed.none);
    this.predicted = words(packed.predicted, 16);
    this.points = bytes(packed.points);
    this.places = packed.places ? new Predicted(packed.places, this, layer.places) : null;
    this.judges = packed.judges.map(({ name, limit, known }) => ({ name, limit, known: new Map(known) }));
    this.text = packed.terms.map((terms) => terms.flatMap((term) => [term[0], ...(term[4] || [])].map((word) => data.concepts[word])).join("\n").toLowerCase());
  }

  // Terms of one neuron: what is unknown is undefined.
  termsOf(at) {
    return this.terms[at].map(([concept, weight, error, kept, also]) => ({
      concept: data.concepts[concept], weight, error, kept, also: (also || []).map((word) => data.concepts[word]), judged: this.judgedOf(concept),
    }));
  }

  // How well each judge knows a concept: from -1 to 1, null where that is undefined.
  judgedOf(concept) {
    return this.judges
      .filter(({ known }) => known.has(concept))
      .map(({ name, limit, known }) => ({ name, value: known.get(concept), low: known.get(concept) === null || known.get(concept) < limit }));
  }

  // Share of the inputs in a range (0 is the lowest) that count for a term, from 0 to 1.
  share(at, range, term) {
    return this.shares[this.starts[at] + range * this.terms[at].length + term] / 255;
  }

  // Share of the inputs in a range that have none of the terms.
  rest(at, range) {
    return this.none[at * N_RANGES + range] / 255;
  }

  spread(at, step, levels) {
    return this.low[at] + ((this.high[at] - this.low[at]) * step) / levels;
  }
}

class Layer {
  constructor(packed) {
    Object.assign(this, packed);
    this.shown = words(packed.shown, packed.shownBits);
    this.counts = words(packed.counts, 32);
    this.values = words(packed.values, 16);
    this.points = bytes(packed.points);
    this.fitted = new Set(packed.fitted);
    this.dead = new Set(packed.dead);
    this.place = new Map(packed.neurons.map((neuron, at) => [neuron, at]));
    this.places = packed.places ? new Places(packed.places, this) : null;
    this.methods = packed.methods.map((method) => new Method(method, this));
  }

  spread(at, step, levels) {
    return this.low[at] + ((this.high[at] - this.low[at]) * step) / levels;
  }

  // Ends of the even ranges, from 0 to the highest activation, or from the lowest where none is above 0.
  edges(at) {
    const low = this.high[at] > 0 ? 0 : this.low[at];
    return Array.from({ length: N_RANGES + 1 }, (_, k) => low + ((this.high[at] - low) * k) / N_RANGES);
  }

  countsOf(at) {
    return Array.from(this.counts.subarray(at * N_RANGES, (at + 1) * N_RANGES));
  }

  // Pictures of one range, 0 being the highest: what they are, what the neuron did and what was predicted.
  picturesOf(at, range, method) {
    const found = [];
    for (let k = 0; k < this.nPictures; k += 1) {
      const cell = (at * N_RANGES + range) * this.nPictures + k;
      const local = this.shown[cell];
      if (local === 2 ** this.shownBits - 1) continue;
      const picture = this.pictures[local];
      found.push({
        name: data.names[picture],
        source: source(picture),
        fitted: this.fitted.has(local),
        activation: this.spread(at, this.values[cell], 65535),
        predicted: method.spread(at, method.predicted[cell], 65535),
        map: this.places && this.places.shown(at, cell),
      });
    }
    return found;
  }

  // Predicted and actual activation on a sample of the test images.
  pointsOf(at, method) {
    return Array.from({ length: this.nPoints }, (_, k) => [
      method.spread(at, method.points[at * this.nPoints + k], 255),
      this.spread(at, this.points[at * this.nPoints + k], 255),
    ]);
  }
}

function source(picture) {
  if (bare.has(picture)) return null;
  if (thumbnails.length) return `data:image/webp;base64,${thumbnails[picture]}`;
  return `thumbs/${String(picture).padStart(5, "0")}.webp`;
}
