import { BOARD_VERSION } from "../src/scores/board-check.ts";
import { COMMON } from "./_redis-board-script.ts";
import { WRITING } from "./_redis-board-writing.ts";

/**
 * Brings what version 1 has written to this version, in steps of which each is a script. Version 1 had, besides logs:
 *
 * | key | type | holds |
 * |---|---|---|
 * | `r:ID` | string | a row: `score at level hidden LIST BOARD PLAYER` and as JSON board, period, player, submission, name, flags, whether there is a log |
 * | `z0LIST` .. `z3LIST` | sorted set | what is shown |
 * | `sLIST` | set | submissions |
 * | `BOARD` | hash | `order`, and the name of each list |
 * | `PLAYER` | hash | the row's id by LIST, and `ban` |
 *
 * A hash of a board or a player is renamed to `1:BOARD` or `1:PLAYER`, and is empty and gone when all that it names is changed; `1` is the set of those.
 * From the first change until `finish` the version is 0: no release reads or writes meanwhile. Steps of several processes may follow each other in any order.
 */
export const MIGRATION_SCRIPT: string = `${COMMON}${WRITING}
local left, told = 0, { boards = 0, lists = 0, rows = 0, bans = 0, unknown = 0, unread = 0, fields = 0 }

local function count(what)
  told[what] = told[what] + 1
  left = left - 1
end

-- The text that a key was made of, as JSON, if it is plain: see usesKey.
local function nameIn(key)
  local name = string.match(key, '^u%a:s([%w._-]+)$') or string.match(key, '^u%a:p[%w_-]+|s([%w._-]+)$')
  return name and '"' .. name .. '"'
end

-- The first five texts of a list, as JSON writes them, and the list of what follows. (cjson knows no lone surrogates.)
local function textsOf(json)
  local texts, at = {}, 2
  for i = 1, 5 do
    local stop = string.sub(json, at, at) == '"' and at + 1
    while stop do
      stop = string.find(json, '["\\\\]', stop)
      if not stop or string.sub(json, stop, stop) == '"' then break end
      stop = stop + 2
    end
    if not stop then return nil end
    texts[i] = string.sub(json, at, stop)
    at = stop + 2
  end
  return texts, '[' .. string.sub(json, at)
end

local function oldRow(id)
  local held = id and call('GET', base .. 'r:' .. id)
  local score, at, level, hidden, list, board, key, json =
    string.match(held or '', '^(-?%d+) (%d+) ([0-3]) ([01]) (u%S+) (ub%S+) (up%S+) (%[.*)$')
  local texts, content = textsOf(json or '')
  return texts and { id = id, score = tonumber(score), at = tonumber(at), level = tonumber(level), hidden = hidden == '1', list = list, board = board,
    key = key, place = '[' .. texts[1] .. ',' .. texts[2] .. ']', boardText = texts[1], period = texts[2], player = texts[3], submission = texts[4],
    name = texts[5], content = content }
end

-- A row of a hash that names lists.
local function anyRow(key)
  for i, one in ipairs(call('HRANDFIELD', key, 20, 'WITHVALUES')) do
    local row = i % 2 == 0 and oldRow(one)
      or i % 2 == 1 and call('TYPE', base .. 'z0' .. one).ok == 'zset' and oldRow(string.sub(call('ZRANGE', base .. 'z0' .. one, 0, 0)[1], 17))
    if row then return row end
  end
end

-- Its group is what a gate with this board alone has. The next submission brings the other rules.
local function takeBoard(board, name)
  local kind = call('TYPE', base .. board).ok
  if kind == 'string' then return end
  local order = kind == 'hash' and call('HGET', base .. board, 'order') == 'asc' and 'asc' or 'desc'
  local group = string.gsub(board, '^ub', 'ug')
  if kind == 'hash' then
    name = name or (anyRow(base .. board) or {}).boardText
    call('RENAME', base .. board, base .. '1:' .. board)
    call('SADD', base .. '1', board)
  end
  enter(group)
  call('SET', base .. board, order .. ' best 0 ' .. group .. ' {"order":"' .. order .. '","operator":"best","min":0,"max":16777215,"minLevel":"claimed","group":'
    .. (name or '""') .. '}')
  rulesOf[board] = nil
  count('boards')
end

local function takeList(list, board, period)
  local key = base .. 'z0' .. list
  if call('TYPE', key).ok == 'hash' then
    if period and call('HGET', key, 'period') == '' then call('HSET', key, 'period', period) end
    return call('HGET', key, 'n')
  end
  call('UNLINK', key, base .. 'z1' .. list, base .. 'z2' .. list, base .. 'z3' .. list)
  period = period or string.match(list, '[|:]s([%w._-]+)$') and '"' .. string.match(list, '[|:]s([%w._-]+)$') .. '"'
  local n = numberOf(list, board, period or '', '')
  if call('EXISTS', base .. 's' .. list) == 1 then call('RENAME', base .. 's' .. list, base .. 's:' .. n) end
  count('lists')
  return n
end

local function takeRow(id)
  local row = oldRow(id)
  if not row then
    if call('EXISTS', base .. 'r:' .. id) == 1 then count('unread') end
    return
  end
  takeBoard(row.board, row.boardText)
  row.n = takeList(row.list, row.board, row.period)
  call('DEL', base .. 'r:' .. id)
  if idIn(row.key, row.n) then return end
  write(row)
  call('ZADD', base .. row.key, row.n, id)
  call('SADD', base .. 'm:' .. row.n, id)
  if row.hidden then noteHidden(row) end
  place(row)
  count('rows')
end

-- On all boards. Whose id cannot be read is known once it comes.
local function takeBan(key)
  local here = call('ZRANGE', base .. key, 0, -1)
  local row = read(here[1])
  local player = nameIn(key) or row and row.player or (anyRow(base .. '1:' .. key) or {}).player
  call('SADD', base .. 'q', key)
  if player then know(key, player) else count('unknown') end
  for _, id in ipairs(here) do
    row = read(id)
    if row then place(row) end
  end
  call('HDEL', base .. '1:' .. key, 'ban')
  count('bans')
end

local function takeOne(one)
  local key, isBoard = base .. '1:' .. one, string.sub(one, 1, 2) == 'ub'
  if not isBoard and call('HEXISTS', key, 'ban') == 1 then takeBan(one) end
  call('HDEL', key, 'order')
  local fields = call('HRANDFIELD', key, 100, 'WITHVALUES')
  for i = 1, #fields, 2 do
    if left <= 0 then return end
    if isBoard then takeList(fields[i], one) else takeRow(fields[i + 1]) end
    call('HDEL', key, fields[i])
    count('fields')
  end
  if call('EXISTS', key) == 0 then call('SREM', base .. '1', one) end
end

-- Sets a hash of version 1 aside. Where there is one already, version 1 wrote again meanwhile.
local function setAside(one)
  local from, to = base .. one, base .. '1:' .. one
  call('SET', base .. 'v', '0')
  if string.sub(one, 1, 2) == 'ub' then return takeBoard(one, nameIn(one)) end
  if call('EXISTS', to) == 0 then call('RENAME', from, to)
  else
    local fields = call('HGETALL', from)
    for i = 1, #fields, 2 do call('HSET', to, fields[i], fields[i + 1]) end
    call('DEL', from)
  end
  call('SADD', base .. '1', one)
end

local function takeSome()
  while left > 0 do
    local one = call('SRANDMEMBER', base .. '1')
    if not one then return end
    takeOne(one)
  end
end

-- About "most" changes. Where the next step begins, and whether all keys were seen.
function actions.step(cursor, most)
  left = tonumber(most)
  takeSome()
  local found = left > 0 and call('SCAN', cursor, 'MATCH', base .. 'u[bp]:*', 'COUNT', 500)
  for _, key in ipairs(found and found[2] or {}) do
    local one = string.sub(key, #base + 1)
    if left > 0 and call('TYPE', key).ok == 'hash' then
      setAside(one)
      takeSome()
    end
  end
  local ended = left > 0 and found[1] == '0'
  return { left > 0 and found[1] or cursor, ended and 1 or 0, told.boards, told.lists, told.rows, told.bans, told.unknown, told.unread, told.fields }
end

-- Once a process has seen all keys and none was to change: whether there is nothing that another one has begun.
function actions.finish()
  if call('SCARD', base .. '1') > 0 then return 0 end
  if call('GET', base .. 'v') == '0' then call('SET', base .. 'v', '${BOARD_VERSION}') end
  return 1
end

local serial = table.remove(ARGV)
local version = call('GET', base .. 'v')
if version and version ~= '0' and version ~= '${BOARD_VERSION}' then return {serial, {'version', version}} end
return {serial, actions[action](unpack(ARGV, 3))}
`;
