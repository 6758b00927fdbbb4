let constants: { k: Int32Array; h: Int32Array } | undefined;

/**
 * SHA-256 (FIPS 180-4), 32 bytes, synchronously: store keys are made inside calls that must not wait, and Web Crypto only answers later.
 * For everything secret use Web Crypto; this one makes no promise about time.
 */
export function sha256Sync(data: Uint8Array): Uint8Array<ArrayBuffer> {
  constants ??= makeConstants();
  const { k } = constants;
  const state = constants.h.slice();
  const words = new Int32Array(64);
  const blocks = (data.length + 72) >> 6;
  const padded = new Uint8Array(blocks * 64);
  padded.set(data);
  padded[data.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(data.length / 0x2000_0000));
  view.setUint32(padded.length - 4, data.length << 3);
  for (let block = 0; block < blocks; block++) {
    for (let i = 0; i < 16; i++) words[i] = view.getInt32(block * 64 + i * 4);
    compress(state, words, k);
  }
  state.forEach((word, i) => {
    view.setInt32(i * 4, word);
  });
  return padded.slice(0, 32);
}

function compress(state: Int32Array, words: Int32Array, k: Int32Array): void {
  for (let i = 16; i < 64; i++) {
    const x = at(words, i - 15);
    const y = at(words, i - 2);
    words[i] =
      at(words, i - 16) + (rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3)) + at(words, i - 7) + (rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10));
  }
  let [a, b, c, d, e, f, g, h] = [
    at(state, 0),
    at(state, 1),
    at(state, 2),
    at(state, 3),
    at(state, 4),
    at(state, 5),
    at(state, 6),
    at(state, 7),
  ];
  for (let i = 0; i < 64; i++) {
    const one = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + at(k, i) + at(words, i)) | 0;
    const two = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => {
    state[i] = at(state, i) + word;
  });
}

/** The first 32 bits of the fractions of the cube and square roots of the first primes. */
function makeConstants(): { k: Int32Array; h: Int32Array } {
  const k = new Int32Array(64);
  const h = new Int32Array(8);
  for (let n = 2, found = 0; found < 64; n++) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= n; divisor++) prime &&= n % divisor !== 0;
    if (!prime) continue;
    h[found] = fraction(Math.sqrt(n));
    k[found++] = fraction(Math.cbrt(n));
  }
  return { k, h };
}

function fraction(root: number): number {
  return ((root - Math.floor(root)) * 2 ** 32) | 0;
}

function rotate(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}

function at(words: Int32Array, index: number): number {
  return words[index] ?? 0;
}
