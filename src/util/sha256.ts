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
  const padded = new Uint8Array(((data.length + 72) >> 6) << 6);
  padded.set(data);
  padded[data.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(data.length / 0x2000_0000));
  view.setUint32(padded.length - 4, data.length << 3);
  for (let start = 0; start < padded.length; start += 64) {
    let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
    for (let i = 0; i < 64; i++) {
      const before = (distance: number): number => at(words, i - distance);
      const word = i < 16 ? view.getInt32(start + i * 4) : before(16) + mix(before(15), 7, 18, 3) + before(7) + mix(before(2), 17, 19, 10);
      words[i] = word;
      const one = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + at(k, i) + word) | 0;
      const two = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => {
      state[i] = at(state, i) + word;
    });
  }
  state.forEach((word, i) => {
    view.setInt32(i * 4, word);
  });
  return padded.slice(0, 32);
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

function mix(word: number, one: number, two: number, shift: number): number {
  return rotate(word, one) ^ rotate(word, two) ^ (word >>> shift);
}

function at(words: Int32Array, index: number): number {
  return words[index] ?? 0;
}
