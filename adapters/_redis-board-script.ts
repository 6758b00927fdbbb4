/** Every command that the board's script runs, in a form that can be tried on a key (`@`). */
export const BOARD_COMMANDS: readonly string[] = [
  ...["SET @ x PX 1000", "DEL @"],
  ...["HSET @ f 1", "HSETNX @ f 1", "HGET @ f", "HGETALL @", "HKEYS @", "HEXISTS @ f", "HDEL @ f", "DEL @"],
  ...["SADD @ m", "DEL @"],
  ...["ZADD @ 1 m", "ZCOUNT @ -inf (2", "ZRANGE @ 0 0", "ZRANK @ m", "ZSCORE @ m", "ZUNIONSTORE @ 1 @ WEIGHTS -1", "ZREM @ m", "DEL @"],
  ...["GET @", "MGET @"],
];

/**
 * Everything a board does in Redis, as one script. `KEYS[1]` is the prefix of all its keys, with the hash tag that puts
 * them into one slot. `ARGV[1]` names the action. The last argument names the call, and the answer begins with it:
 * otherwise a driver that assigns answers to the wrong calls would give one player another's result. The script derives
 * all other keys from `KEYS[1]`, since a player's rows are not known before it runs.
 *
 * The keys after `KEYS[1]`. BOARD, LIST (a board in a period) and PLAYER stand for `usesKey` of these texts (plain
 * characters, injective, at most 80 bytes):
 *
 * | key | type | holds |
 * |---|---|---|
 * | `r:ID` | string | a row: `score at level hidden LIST BOARD PLAYER data` |
 * | `g:ID` | string | its log |
 * | `z0LIST` .. `z3LIST` | sorted set | visible rows from that level on, best first; member: `at` in 16 digits, id |
 * | `sLIST` | set | submissions |
 * | `BOARD` | hash | `order`, and the name of each list |
 * | `PLAYER` | hash | the row's id by LIST, and `ban` |
 *
 * A sorted set's score is a double, which just holds the 53 bits of a score. Ties are ordered by the member, which
 * Redis compares byte by byte. Numbers are always written with `%.0f`: Lua's own `tostring` rounds to 14 digits.
 */
export const BOARD_SCRIPT: string = `
local base, action, call = KEYS[1], ARGV[1], redis.call

local function text(number) return string.format('%.0f', number) end
local function zset(level, list) return base .. 'z' .. level .. list end
local function member(row) return string.format('%016.0f', row.at) .. row.id end
local function keyOf(score, order) if order == 'asc' then return score end return 0 - score end
local function banned(player) return call('HEXISTS', base .. player, 'ban') == 1 end

local function parse(id, held)
  local score, at, level, hidden, list, board, player, data =
    string.match(held, '^(%S+) (%S+) (%d) (%d) (%S+) (%S+) (%S+) (.*)$')
  return { id = id, held = held, score = tonumber(score), at = tonumber(at), level = tonumber(level), hidden = hidden == '1',
    list = list, board = board, player = player, data = data }
end

local function read(id)
  local held = id and call('GET', base .. 'r:' .. id)
  return held and parse(id, held) or nil
end

local function write(row)
  row.held = table.concat({ text(row.score), text(row.at), row.level, row.hidden and 1 or 0, row.list, row.board, row.player, row.data }, ' ')
  call('SET', base .. 'r:' .. row.id, row.held)
end

local function show(row)
  local key = text(keyOf(row.score, call('HGET', base .. row.board, 'order')))
  for level = 0, row.level do call('ZADD', zset(level, row.list), key, member(row)) end
end

local function conceal(row)
  for level = 0, row.level do call('ZREM', zset(level, row.list), member(row)) end
end

local function drop(row)
  conceal(row)
  call('DEL', base .. 'r:' .. row.id, base .. 'g:' .. row.id)
  call('HDEL', base .. row.player, row.list)
end

local function better(list, key) return call('ZCOUNT', zset(0, list), '-inf', '(' .. key) end
local function rank(row) return 1 + better(row.list, text(keyOf(row.score, call('HGET', base .. row.board, 'order')))) end

local function idsOf(player)
  local ids, fields = {}, call('HGETALL', base .. player)
  for i = 1, #fields, 2 do if fields[i] ~= 'ban' then ids[#ids + 1] = fields[i + 1] end end
  return ids
end

local function withRows(answer, members)
  if #members == 0 then return answer end
  local keys = {}
  for i, one in ipairs(members) do keys[i] = base .. 'r:' .. string.sub(one, 17) end
  for i, held in ipairs(call('MGET', unpack(keys))) do
    -- A row that Redis has evicted is left out.
    if held then
      answer[#answer + 1] = string.sub(members[i], 17)
      answer[#answer + 1] = held
    end
  end
  return answer
end

local function whole(row, withLog)
  if not row then return {} end
  return { row.id, row.held, rank(row), (row.hidden or banned(row.player)) and 1 or 0, withLog and call('GET', base .. 'g:' .. row.id) }
end

local function setOrder(board, order)
  local known = call('HGET', base .. board, 'order')
  if known == order then return end
  call('HSET', base .. board, 'order', order)
  if not known then return end
  for _, list in ipairs(call('HKEYS', base .. board)) do
    if list ~= 'order' then
      for level = 0, 3 do call('ZUNIONSTORE', zset(level, list), 1, zset(level, list), 'WEIGHTS', -1) end
    end
  end
end

local actions = {}

function actions.submit(player, board, order, operator, min, max, least, score, at, level, submission, count)
  if banned(player) then return { 'banned' } end
  setOrder(board, order)
  min, max, score, at, level = tonumber(min), tonumber(max), tonumber(score), tonumber(at), tonumber(level)
  local function nextScore(row)
    -- What is too weak to be shown must not stand in the way of what can be.
    if not row or row.level < tonumber(least) then return score end
    if operator == 'sum' then return math.min(max, math.max(min, row.score + score)) end
    if operator == 'last' then return at >= row.at and score or nil end
    return keyOf(score, order) < keyOf(row.score, order) and score or nil
  end
  local answer
  local last = 13 + 3 * count
  for i = 14, last, 3 do
    local list, status = ARGV[i], 'repeated'
    local row = read(call('HGET', base .. player, list))
    if call('SADD', base .. 's' .. list, submission) == 1 then
      local value = nextScore(row)
      status = value and 'stored' or 'kept'
      if value then
        if row then
          conceal(row)
        else
          row = { id = ARGV[i + 1], hidden = false, list = list, board = board, player = player }
          call('HSET', base .. player, list, row.id)
          call('HSET', base .. board, list, 1)
        end
        row.score, row.at, row.level, row.data = value, at, level, ARGV[i + 2]
        write(row)
        if ARGV[last + 1] then call('SET', base .. 'g:' .. row.id, ARGV[last + 1]) else call('DEL', base .. 'g:' .. row.id) end
        if not row.hidden then show(row) end
      end
    end
    answer = answer or (row and { status, row.id, row.held, rank(row) } or { status })
  end
  return answer
end

function actions.top(list, level, limit)
  return withRows({}, call('ZRANGE', zset(level, list), 0, limit - 1))
end

function actions.around(id, n)
  local row = read(id)
  local position = row and call('ZRANK', zset(0, row.list), member(row))
  if not position then return {} end
  local from = math.max(0, position - n)
  local members = call('ZRANGE', zset(0, row.list), from, position + n)
  return withRows({ from, 1 + better(row.list, call('ZSCORE', zset(0, row.list), members[1])) }, members)
end

function actions.find(id) return whole(read(id), true) end
function actions.ofPlayer(player, list) return whole(read(call('HGET', base .. player, list)), false) end

function actions.remove(id)
  local row = read(id)
  if row then drop(row) end
  return row and 1 or 0
end

function actions.hide(id, hidden)
  local row = read(id)
  if not row then return 0 end
  row.hidden = hidden == '1'
  write(row)
  conceal(row)
  if not row.hidden and not banned(row.player) then show(row) end
  return 1
end

function actions.ban(player, ban)
  local changed = ban == '1' and call('HSETNX', base .. player, 'ban', 1) or call('HDEL', base .. player, 'ban')
  if changed == 0 then return 0 end
  for _, id in ipairs(idsOf(player)) do
    local row = read(id)
    if row and not row.hidden then if ban == '1' then conceal(row) else show(row) end end
  end
  return changed
end

function actions.purge(player)
  local ids = idsOf(player)
  for _, id in ipairs(ids) do
    local row = read(id)
    if row then drop(row) end
  end
  return #ids
end

local serial = table.remove(ARGV)
return {serial, actions[action](unpack(ARGV, 2))}
`;

/**
 * {@link BOARD_SCRIPT} for moderators. Its flag lets it write although Redis has no memory left (`maxmemory`): hiding
 * or banning needs hardly any memory, and must work on a full board. Redis before version 7 does not support flags of
 * scripts.
 */
export const MODERATION_SCRIPT: string = `#!lua flags=allow-oom
${BOARD_SCRIPT}`;
