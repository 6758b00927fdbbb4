/**
 * HalfSipHash-2-4 with 32 bits of output (https://github.com/veorq/SipHash): a hash for tables. Without the key nobody can choose inputs that collide.
 *
 * @param key 64 bits, as two little-endian words
 */
export function halfSipHash(data: Uint8Array, key: Uint32Array): number {
  let [v0 = 0, v1 = 0] = key;
  let v2 = 0x6c796765 ^ v0;
  let v3 = 0x74656462 ^ v1;
  const rounds = (count: number): void => {
    for (let left = count; left > 0; left--) {
      v0 = (v0 + v1) | 0;
      v1 = rotate(v1, 5) ^ v0;
      v0 = rotate(v0, 16);
      v2 = (v2 + v3) | 0;
      v3 = rotate(v3, 8) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = rotate(v3, 7) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = rotate(v1, 13) ^ v2;
      v2 = rotate(v2, 16);
    }
  };
  const { length } = data;
  const byte = (i: number): number => data[i] ?? 0;
  for (let i = 0; i <= length; i += 4) {
    // The length is the last byte of the last word.
    const top = i + 4 > length ? length : byte(i + 3);
    const word = byte(i) | (byte(i + 1) << 8) | (byte(i + 2) << 16) | (top << 24);
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
  v2 ^= 0xff;
  rounds(4);
  return (v1 ^ v3) >>> 0;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
