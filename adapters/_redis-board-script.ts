import { BOARD_VERSION } from "../src/scores/board-check.ts";
import { LISTS, PLAYERS } from "./_redis-board-players.ts";
import { READING } from "./_redis-board-reading.ts";
import { WRITING } from "./_redis-board-writing.ts";

/** Every command that the script runs, in a form that can be tried on a key (`@`). */
export const BOARD_COMMANDS: readonly string[] = [
  ...["SET @ x PX 1000", "GET @", "MGET @", "TYPE @", "DEL @", "UNLINK @", "INCR @", "DEL @"],
  ...["HSET @ f 1", "HGET @ f", "HGETALL @", "HKEYS @", "HDEL @ f", "DEL @"],
  ...["SADD @ m", "SISMEMBER @ m", "SMEMBERS @", "SRANDMEMBER @", "SPOP @ 1", "SREM @ m", "DEL @"],
  ...["ZADD @ 1 m", "ZCARD @", "ZCOUNT @ -inf (2", "ZRANGE @ 0 0", "ZRANGEBYLEX @ - + LIMIT 0 1", "ZRANGEBYSCORE @ -inf 2 LIMIT 0 1"],
  ...["ZSCORE @ m", "ZREM @ m", "DEL @"],
];

/**
 * Everything a board does in Redis, as one script: `KEYS[1]` is the beginning of all its keys, with the hash tag that puts them in one slot;
 * `ARGV[1]` names the action, the last one the call: the answer begins with it, since a driver whose order slips would tell one player another's result.
 * Keys are derived from the first one, since nobody knows a player's rows beforehand; all of them are in its slot.
 *
 * Behind `KEYS[1]`, where BOARD, LIST (a board in a period, of all or of a tag), PLAYER and GROUP are what `usesKey` makes of the texts (harmless,
 * injective, at most 80 bytes), and N is the number of a list, which is never used again:
 *
 * | key | type | holds |
 * |---|---|---|
 * | `v` | string | the version of the data |
 * | `n` | string | the last N |
 * | `BOARD` | string | its rules: `order operator minLevel GROUP` and the rules as JSON |
 * | `G:GROUP` | set | the boards of a group |
 * | `L:BOARD` | hash | N by LIST |
 * | `LIST` | hash | `n`: N, `forget`: milliseconds since the epoch, if it ends, `board`, `period`: its key |
 * | `f` | sorted set | lists that end, by when |
 * | `y0:N` .. `y3:N` | sorted set | what is shown of that level or above: the score, then `at` in 16 digits and the id |
 * | `m:N` | set | the ids of all rows |
 * | `s:N` | set | submissions |
 * | `r:ID` | string | a row, in lines: `score at level hidden N LIST BOARD PLAYER`, place, player, name, submission, content |
 * | `g:ID` | string | its log |
 * | `PLAYER` | hash | the row's id by N |
 * | `b:GROUP` | sorted set | the banned players, all with the score 0 |
 * | `k:GROUP` | hash | PLAYER of each banned player |
 * | `h:BOARD` | sorted set | the ids of hidden rows, all with the score 0 |
 * | `u:GROUP` | hash | players by their unique names |
 * | `w:GROUP` | hash | unique names by players |
 * | `x` | set | N of lists that were cleared or forgotten, and are not yet deleted |
 *
 * A sorted set's score is a double: all 53 bits of a score, and nothing else, fit in. Ties are told by the member, which Redis compares byte by byte.
 * The sets are kept by rising scores whatever the order is. A number becomes a text by `%.0f` alone: Lua's own `tostring` rounds to 14 digits.
 * A row counts only as long as its list still has its N.
 * A script of version 1 writes nothing to such data: it expects a hash where a board has a text, and fails.
 */
const COMMON = `
local base, action, call = KEYS[1], ARGV[1], redis.call

local function text(number) return string.format('%.0f', number) end
local function zset(level, n) return base .. 'y' .. level .. ':' .. n end
local function member(row) return string.format('%016.0f', row.at) .. row.id end

local rulesOf = setmetatable({}, { __index = function(known, board)
  local held = call('GET', base .. board)
  local order, operator, least, group, json = string.match(held or '', '^(%S+) (%S+) (%d) (%S+) (.*)$')
  local rules = { order = order or 'desc', operator = operator or 'best', least = tonumber(least or 0), group = group, json = json, held = held }
  known[board] = rules
  return rules
end })

local function banned(player, group)
  return group and call('ZSCORE', base .. 'b:' .. group, player) and true or false
end

local function parse(id, held)
  local head, place, player, name, submission, content = string.match(held, '^([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n(.*)$')
  local score, at, level, hidden, n, list, board, key = string.match(head, '^(%S+) (%S+) (%d) (%d) (%d+) (%S+) (%S+) (%S+)$')
  return { id = id, held = held, score = tonumber(score), at = tonumber(at), level = tonumber(level), hidden = hidden == '1', n = n, list = list,
    board = board, key = key, place = place, player = player, name = name, submission = submission, content = content }
end

local numbers = {}
local function isThere(row)
  if numbers[row.list] == nil then numbers[row.list] = call('HGET', base .. row.list, 'n') end
  return numbers[row.list] == row.n
end

local function read(id)
  local held = id and call('GET', base .. 'r:' .. id)
  local row = held and parse(id, held)
  return row and isThere(row) and row or nil
end

local function write(row)
  local head = table.concat({ text(row.score), text(row.at), row.level, row.hidden and 1 or 0, row.n, row.list, row.board, row.key }, ' ')
  row.held = table.concat({ head, row.place, row.player, row.name, row.submission, row.content }, '\\n')
  call('SET', base .. 'r:' .. row.id, row.held)
end

local function isShown(row) return not row.hidden and not banned(row.player, rulesOf[row.board].group) end

local function idsOf(key)
  local ids, fields = {}, call('HGETALL', base .. key)
  for i = 2, #fields, 2 do ids[#ids + 1] = fields[i] end
  return ids
end

-- The player's rows on the boards of a group.
local function rowsIn(key, group)
  local rows = {}
  for _, id in ipairs(idsOf(key)) do
    local row = read(id)
    if row and rulesOf[row.board].group == group then rows[#rows + 1] = row end
  end
  return rows
end

local actions = {}
`;

/** What the answer begins with, and the refusal of data that this release does not know. */
const END = `
local serial = table.remove(ARGV)
local version = call('GET', base .. 'v')
-- Version 1 had no such key, but other fields in its hashes, and rows of one line.
if not version then
  local one = ARGV[2]
  if call('TYPE', base .. one).ok == 'hash' then
    for _, field in ipairs(call('HKEYS', base .. one)) do
      if string.find(field, '%D') then version = '1' end
    end
  end
  local held = string.find(one, '^[%w_-]+$') and call('GET', base .. 'r:' .. one)
  if held and not string.find(held, '\\n', 1, true) then version = '1' end
end
if version and version ~= '${BOARD_VERSION}' then return {serial, {'version', version}} end
return {serial, actions[action](unpack(ARGV, 3))}
`;

export const BOARD_SCRIPT: string = `${COMMON}${READING}${WRITING}${PLAYERS}${LISTS}${END}`;

/**
 * {@link BOARD_SCRIPT} for moderators. Its flag lets it write although Redis has no memory left (`maxmemory`): hiding or banning takes hardly any memory,
 * and must be possible on a full board. Redis before version 7 does not know flags of scripts.
 */
export const MODERATION_SCRIPT: string = `#!lua flags=allow-oom
${BOARD_SCRIPT}`;
