/**
 * Which of the shards holds a partition. FNV-1a, mixed once more: its lowest bits alone know only the lowest bits of the text.
 * Changing it would move every key.
 */
export function shardOf(partition: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < partition.length; i++) hash = Math.imul(hash ^ partition.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return ((hash ^ (hash >>> 13)) >>> 0) % shards;
}
