/** The part of the board's script that reads lists. */
export const READING = `
local function below(z, score) return call('ZCOUNT', z, '-inf', '(' .. text(score)) end
local function upTo(z, score) return call('ZCOUNT', z, '-inf', text(score)) end

-- By bytes: Lua's own comparison follows the server's locale.
local function isLess(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- What a view shows of a list: its rows by rising scores from position "from" up to, not including, "to". As src/scores/window.ts.
local function windowOf(n, level, order, min, max)
  local z = zset(level, n)
  local from = min ~= '' and below(z, min) or 0
  local to = max ~= '' and upTo(z, max) or call('ZCARD', z)
  return { z = z, rises = order == 'asc', from = from, to = math.max(from, to) }
end

-- A view as it is asked for: 5 values behind the list.
local function viewOf(list, order, min, max, level)
  local n, board = call('HGET', base .. 'z0' .. list, 'n'), call('HGET', base .. 'z0' .. list, 'board')
  if not n then return nil end
  return windowOf(n, level, order ~= '' and order or rulesOf[board].order, tonumber(min) or '', tonumber(max) or ''), n
end

local function lengthOf(w) return w.to - w.from end

local function rankIn(w, score)
  local better = w.rises and below(w.z, score) - w.from or w.to - upTo(w.z, score)
  return 1 + math.min(lengthOf(w), math.max(0, better))
end

-- The position of the first row at this place or behind it; with "behind" only behind it.
local function positionOf(w, score, wanted, behind)
  local first = below(w.z, score)
  local low, high = first, upTo(w.z, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local one = call('ZRANGE', w.z, middle, middle)[1]
    if isLess(one, wanted) or behind and one == wanted then low = middle + 1 else high = middle end
  end
  local position = w.rises and low - w.from or w.to - upTo(w.z, score) + low - first
  return math.min(lengthOf(w), math.max(0, position))
end

-- The members from position "start" up to, not including, "stop". Of falling scores, a group of equal ones still comes in rising order; only the first and
-- the last group can be there in part.
local function sliceOf(w, start, stop)
  start, stop = math.max(0, start), math.min(stop, lengthOf(w))
  if start >= stop then return {} end
  if w.rises then return call('ZRANGE', w.z, w.from + start, w.from + stop - 1) end
  local found = call('ZRANGE', w.z, w.to - stop, w.to - start - 1, 'WITHSCORES')
  local members, i = {}, #found
  while i > 0 do
    local score, first = found[i], i
    while first > 2 and found[first - 2] == score do first = first - 2 end
    local group, count = {}, (i - first) / 2 + 1
    if i == #found or first == 2 then
      local begin = below(w.z, score)
      local skipped = i == #found and start - (w.to - upTo(w.z, score)) or 0
      group = call('ZRANGE', w.z, begin + skipped, begin + skipped + count - 1)
    else
      for k = first - 1, i - 1, 2 do group[#group + 1] = found[k] end
    end
    for _, one in ipairs(group) do members[#members + 1] = one end
    i = first - 2
  end
  return members
end

-- The first position and its rank: where a score begins inside the run, its rank is its position.
local function pageOf(w, start, stop)
  local members = sliceOf(w, start, stop)
  if #members == 0 then return {} end
  start = math.max(0, start)
  local answer, keys = { start, rankIn(w, call('ZSCORE', w.z, members[1])) }, {}
  for i, one in ipairs(members) do keys[i] = base .. 'e:' .. string.sub(one, 17) end
  for i, held in ipairs(call('MGET', unpack(keys))) do
    -- A row that Redis has evicted is left out; its place counts.
    answer[#answer + 1] = string.sub(members[i], 17)
    answer[#answer + 1] = held
  end
  return answer
end

local function whole(row, w, withLog)
  return { row.id, row.held, rankIn(w, row.score), isShown(row) and 0 or 1, withLog and call('GET', base .. 'g:' .. row.id) or false }
end

local function ownWindow(row) return windowOf(row.n, 0, rulesOf[row.board].order, '', '') end

function actions.top(list, order, min, max, level, limit, score, at)
  local w = viewOf(list, order, min, max, level)
  if not w then return {} end
  local from = score and positionOf(w, tonumber(score), at, true) or 0
  return pageOf(w, from, from + limit)
end

function actions.around(id, order, min, max, level, n)
  local row = read(id)
  if not row then return {} end
  local w = viewOf(row.list, order, min, max, level)
  local inside = call('ZSCORE', w.z, member(row)) and row.score >= (tonumber(min) or row.score) and row.score <= (tonumber(max) or row.score)
  if not inside then return {} end
  local position = positionOf(w, row.score, member(row), false)
  return pageOf(w, position - n, position + n + 1)
end

function actions.near(list, order, min, max, level, n, score)
  local w = viewOf(list, order, min, max, level)
  if not w then return { 1 } end
  -- Behind every row of its score: no member begins with such a character.
  local position = positionOf(w, tonumber(score), '~', false)
  local page = pageOf(w, position - n, position + n)
  table.insert(page, 1, rankIn(w, tonumber(score)))
  return page
end

function actions.count(list, order, min, max, level)
  local w = viewOf(list, order, min, max, level)
  return w and lengthOf(w) or 0
end

function actions.find(id)
  local row = read(id)
  return row and whole(row, ownWindow(row), true) or {}
end

-- The rows of some players; "any": shown or not.
function actions.ofPlayers(list, order, min, max, level, any, ...)
  local w, n = viewOf(list, order, min, max, level)
  local answer = {}
  if not w then return answer end
  for _, key in ipairs({...}) do
    local row = read(idIn(key, n))
    if row and (any == '1' or isShown(row) and row.level >= tonumber(level) and row.score >= (tonumber(min) or row.score)
      and row.score <= (tonumber(max) or row.score)) then answer[#answer + 1] = whole(row, w) end
  end
  return { w.rises and 1 or 0, answer }
end

function actions.rowsOf(key, group)
  local answer = {}
  for i, row in ipairs(rowsIn(key, group)) do answer[i] = whole(row, ownWindow(row), true) end
  return answer
end

-- One step: rows, and the id behind which the next step begins, if there may be more. Ids of rows that are gone (their list was cleared) are removed.
function actions.hidden(group, limit, after)
  limit = tonumber(limit)
  local found, batch, last = {}, math.max(limit, 100), nil
  for _, board in ipairs(call('SMEMBERS', base .. 'H:' .. group)) do
    local ids = call('ZRANGEBYLEX', base .. 'h:' .. board, after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, batch)
    for _, id in ipairs(ids) do found[#found + 1] = { id = id, board = board } end
    -- Behind the end of a full batch, this board's rows are not known.
    if #ids == batch and (not last or isLess(ids[batch], last)) then last = ids[batch] end
    if #ids == 0 and call('EXISTS', base .. 'h:' .. board) == 0 then call('SREM', base .. 'H:' .. group, board) end
  end
  table.sort(found, function(a, b) return isLess(a.id, b.id) end)
  local rows = {}
  for _, one in ipairs(found) do
    if #rows == limit or last and isLess(last, one.id) then break end
    local row = read(one.id)
    if row then rows[#rows + 1] = whole(row, ownWindow(row)) else call('ZREM', base .. 'h:' .. one.board, one.id) end
  end
  return { rows, last or '' }
end

function actions.banned(group, limit, after)
  enter(group)
  return call('ZRANGEBYLEX', base .. 'b:' .. group, after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, limit)
end

-- The rules of a board; one step: how many shown rows have a score outside its bounds, and where the next step begins.
function actions.check(board, cursor, min, max)
  local outside, found = 0, call('HSCAN', base .. 'L:' .. board, cursor, 'COUNT', 100)
  for i = 2, #found[2], 2 do
    local z = zset(0, found[2][i])
    outside = outside + below(z, tonumber(min)) + call('ZCARD', z) - upTo(z, tonumber(max))
  end
  return { outside, found[1], rulesOf[board].json or false }
end
`;
