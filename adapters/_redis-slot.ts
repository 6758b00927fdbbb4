const encoder = new TextEncoder();

/**
 * The slot of a key, of a cluster's 16384: CRC16 of its hash tag, or of the whole key where it has none (Redis Cluster
 * specification).
 */
export function slotOf(key: string): number {
  const start = key.indexOf("{");
  const end = start < 0 ? -1 : key.indexOf("}", start + 1);
  return crc16(end > start + 1 ? key.slice(start + 1, end) : key) & 16383;
}

/** CRC16/XMODEM: polynomial 0x1021, initial value 0. */
function crc16(text: string): number {
  let crc = 0;
  for (const byte of encoder.encode(text)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc;
}
