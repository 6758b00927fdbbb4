/**
 * The number of the shard that holds a partition. FNV-1a with one more mixing step: the lowest bits of FNV-1a alone
 * only depend on the lowest bits of the text. Changing this function would move every key to another shard.
 */
export function shardOf(partition: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < partition.length; i++) hash = Math.imul(hash ^ partition.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return ((hash ^ (hash >>> 13)) >>> 0) % shards;
}
