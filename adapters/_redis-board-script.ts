import { BOARD_VERSION } from "../src/scores/board-check.ts";
import { LISTS, PLAYERS } from "./_redis-board-players.ts";
import { READING } from "./_redis-board-reading.ts";
import { WRITING } from "./_redis-board-writing.ts";

/** Every command that the script runs, in a form that can be tried on a key (`@`). */
export const BOARD_COMMANDS: readonly string[] = [
  ...["SET @ x PX 1000", "DEL @", "GET @", "MGET @", "TYPE @", "EXISTS @", "UNLINK @", "INCR @", "DEL @"],
  ...["HSET @ f 1", "HGET @ f", "HGETALL @", "HSCAN @ 0", "HDEL @ f", "DEL @"],
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
 * | `L:BOARD` | hash | N by LIST |
 * | `z0LIST` | hash | `n`: N, `forget`: milliseconds since the epoch, if it ends, `board`, `period`: its key |
 * | `f` | sorted set | lists that end, by when |
 * | `y0:N` .. `y3:N` | sorted set | what is shown of that level or above: the score, then `at` in 16 digits and the id |
 * | `m:N` | set | the ids of all rows |
 * | `s:N` | set | submissions |
 * | `e:ID` | string | a row, in lines: `score at level hidden N LIST BOARD PLAYER`, place, player, name, submission, content |
 * | `g:ID` | string | its log |
 * | `PLAYER` | sorted set | the ids of its rows, by N |
 * | `b:GROUP` | sorted set | the banned players, all with the score 0 |
 * | `k:GROUP` | hash | PLAYER of each banned player |
 * | `h:BOARD` | sorted set | the ids of hidden rows, all with the score 0 |
 * | `H:GROUP` | set | the boards of a group that have hidden rows, or had some |
 * | `u:GROUP` | hash | players by their unique names |
 * | `w:GROUP` | hash | unique names by players |
 * | `x` | set | N of lists that were cleared or forgotten, and are not yet deleted |
 *
 * A sorted set's score is a double: all 53 bits of a score, and nothing else, fit in. Ties are told by the member, which Redis compares byte by byte.
 * The sets are kept by rising scores whatever the order is. A number becomes a text by `%.0f` alone: Lua's own `tostring` rounds to 14 digits.
 * A row counts only as long as its list still has its N.
 *
 * Version 1 had hashes at `BOARD` and `PLAYER`, sorted sets at `z0LIST`, and rows at `r:ID`. So its script fails at every board, list and player that is
 * here, and finds no row; this one refuses what version 1 has written, wherever it meets it (`_redis-board-migrate.ts` brings it to this version):
 *
 * | key | type | holds |
 * |---|---|---|
 * | `Q` | hash | PLAYER of each player whom version 1 banned: on all boards, so in every group |
 * | `q` | set | PLAYER of those whose id is not known, until they come |
 * | `G` | set | each GROUP where the players of `Q` are banned |
 */
export const COMMON = `
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

-- Without the quotes, before which some characters would sort.
local function bare(player) return string.sub(player, 2, -2) end

local function banned(player, group)
  return group and call('ZSCORE', base .. 'b:' .. group, bare(player)) and true or false
end

local function setBan(key, player, group)
  call('ZADD', base .. 'b:' .. group, 0, bare(player))
  call('HSET', base .. 'k:' .. group, bare(player), key)
end

local function liftBan(player, group)
  call('ZREM', base .. 'b:' .. group, bare(player))
  call('HDEL', base .. 'k:' .. group, bare(player))
end

local function parse(id, held)
  local head, place, player, name, submission, content = string.match(held, '^([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n(.*)$')
  local score, at, level, hidden, n, list, board, key = string.match(head, '^(%S+) (%S+) (%d) (%d) (%d+) (%S+) (%S+) (%S+)$')
  return { id = id, held = held, score = tonumber(score), at = tonumber(at), level = tonumber(level), hidden = hidden == '1', n = n, list = list,
    board = board, key = key, place = place, player = player, name = name, submission = submission, content = content }
end

local numbers = {}
local function isThere(row)
  if numbers[row.list] == nil then numbers[row.list] = call('HGET', base .. 'z0' .. row.list, 'n') end
  return numbers[row.list] == row.n
end

local function read(id)
  local held = id and call('GET', base .. 'e:' .. id)
  local row = held and parse(id, held)
  return row and isThere(row) and row or nil
end

local function write(row)
  local head = table.concat({ text(row.score), text(row.at), row.level, row.hidden and 1 or 0, row.n, row.list, row.board, row.key }, ' ')
  row.held = table.concat({ head, row.place, row.player, row.name, row.submission, row.content }, '\\n')
  call('SET', base .. 'e:' .. row.id, row.held)
end

local function isShown(row) return not row.hidden and not banned(row.player, rulesOf[row.board].group) end

local function idsOf(key) return call('ZRANGE', base .. key, 0, -1) end
local function idIn(key, n) return call('ZRANGEBYSCORE', base .. key, n, n)[1] end

-- The player's rows on the boards of a group.
local function rowsIn(key, group)
  local rows = {}
  for _, id in ipairs(idsOf(key)) do
    local row = read(id)
    if row and rulesOf[row.board].group == group then rows[#rows + 1] = row end
  end
  return rows
end

-- Whom version 1 has banned is banned in every group, also in one that is new.
local function enter(group)
  if call('SISMEMBER', base .. 'G', group) == 1 then return end
  call('SADD', base .. 'G', group)
  local old = call('HGETALL', base .. 'Q')
  for i = 1, #old, 2 do setBan(old[i + 1], old[i], group) end
end

-- Of some, version 1 had kept no id that could be read.
local function know(key, player)
  -- Not by SREM's answer: once a script has called a command that writes, Redis lets it go on without memory.
  if call('SISMEMBER', base .. 'q', key) == 0 then return end
  call('SREM', base .. 'q', key)
  call('HSET', base .. 'Q', player, key)
  for _, group in ipairs(call('SMEMBERS', base .. 'G')) do setBan(key, player, group) end
end

local actions = {}
`;

/** What the answer begins with, and the refusal of data that this release does not know. */
const END = `
local serial = table.remove(ARGV)
local version = call('GET', base .. 'v')
-- What version 1 has written, which kept no version: boards and players are hashes there, rows have another name.
if not version or version == '${BOARD_VERSION}' then
  for one in string.gmatch(ARGV[2], '%S+') do
    local isRow = not string.find(one, ':', 1, true)
    if isRow and call('EXISTS', base .. 'r:' .. one) == 1 or not isRow and call('TYPE', base .. one).ok == 'hash' then version = '1' end
  end
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
