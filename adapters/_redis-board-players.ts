/** The part of the board's script that is about players. */
export const PLAYERS = `
-- A row that is no more in any list, with what is known of it.
local function dropHeld(id)
  local held = call('GET', base .. 'e:' .. id)
  local row = held and parse(id, held)
  call('DEL', base .. 'e:' .. id, base .. 'g:' .. id)
  if row and row.hidden then call('ZREM', base .. 'h:' .. row.board, id) end
  return row
end

function actions.purge(key, group, player)
  local rows = rowsIn(key, group)
  for _, row in ipairs(rows) do drop(row) end
  keepName(group, player, '')
  -- What was cleared and not yet swept belongs to no group any more.
  local ids = call('ZRANGE', base .. key, 0, -1, 'WITHSCORES')
  for i = 1, #ids, 2 do
    local id, n = ids[i], text(tonumber(ids[i + 1]))
    if not read(id) then
      dropHeld(id)
      call('ZREM', base .. key, id)
      call('SREM', base .. 'm:' .. n, id)
    end
  end
  return #rows
end

function actions.rename(key, group, player, name, unique)
  if isTaken(group, player, unique) then return 0 end
  for _, row in ipairs(rowsIn(key, group)) do
    row.name = name
    write(row)
  end
  keepName(group, player, unique)
  return 1
end

-- Two rows in one list are merged as mergedRow of src/scores/ranking.ts does.
local function merge(row, other)
  local rules = rulesOf[row.board]
  local weak, otherWeak = row.level < rules.least, other.level < rules.least
  local wins = row.at > other.at
  if weak ~= otherWeak then wins = otherWeak
  elseif rules.operator == 'best' then wins = better(row.score, other.score, rules.order) or row.score == other.score and row.at < other.at end
  local score, level = wins and row.score or other.score, wins and row.level or other.level
  if rules.operator == 'sum' and weak == otherWeak then
    score = math.min(9007199254740991, math.max(-9007199254740991, row.score + other.score))
    level = math.min(row.level, other.level)
  end
  local log = call('GET', base .. 'g:' .. (wins and row.id or other.id))
  conceal(other)
  drop(row)
  other.score, other.level = score, level
  if wins then other.at, other.submission, other.content = row.at, row.submission, row.content end
  if log then call('SET', base .. 'g:' .. other.id, log) else call('DEL', base .. 'g:' .. other.id) end
  if row.hidden and not other.hidden then
    other.hidden = true
    noteHidden(other)
  end
  write(other)
end

function actions.claim(from, group, to, fromPlayer, toPlayer)
  enter(group)
  know(from, fromPlayer)
  know(to, toPlayer)
  local rows = rowsIn(from, group)
  for _, row in ipairs(rows) do
    local other = read(idIn(to, row.n))
    if other then merge(row, other)
    else
      conceal(row)
      call('ZREM', base .. from, row.id)
      call('ZADD', base .. to, row.n, row.id)
      row.key, row.player = to, toPlayer
      write(row)
    end
  end
  if banned(fromPlayer, group) then
    liftBan(fromPlayer, group)
    setBan(to, toPlayer, group)
  end
  for _, row in ipairs(rowsIn(to, group)) do place(row) end
  local unique = call('HGET', base .. 'w:' .. group, fromPlayer)
  if unique then
    keepName(group, fromPlayer, '')
    -- Where the other has a name of its own, the one of the first is free again.
    if not call('HGET', base .. 'w:' .. group, toPlayer) then keepName(group, toPlayer, unique) end
  end
  return #rows
end
`;

/** The part of the board's script that ends lists. */
export const LISTS = `
-- Nothing finds the list any more; its rows and submissions are deleted by "sweep".
local function forget(list)
  local key = base .. 'z0' .. list
  local n, board = call('HGET', key, 'n'), call('HGET', key, 'board')
  call('DEL', key)
  call('ZREM', base .. 'f', list)
  call('HDEL', base .. 'L:' .. board, list)
  call('UNLINK', zset(0, n), zset(1, n), zset(2, n), zset(3, n))
  call('SADD', base .. 'x', n)
end

-- One step: how many lists, where the next one begins, and the last N of the first step: a list that is made meanwhile stays.
function actions.clear(board, cursor, last, period)
  if last == '' then last = call('GET', base .. 'n') or '0' end
  local gone, found = 0, call('HSCAN', base .. 'L:' .. board, cursor, 'COUNT', 100)
  for i = 1, #found[2], 2 do
    local list, n = found[2][i], found[2][i + 1]
    if tonumber(n) <= tonumber(last) and (not period or call('HGET', base .. 'z0' .. list, 'period') == period) then
      forget(list)
      gone = gone + 1
    end
  end
  return { gone, found[1], last }
end

-- One step: at most "max" rows or submissions are deleted, of at most 100 lists. How many, and whether there may be more.
function actions.sweep(now, max)
  local due = call('ZRANGEBYSCORE', base .. 'f', '-inf', now, 'LIMIT', 0, 100)
  for _, list in ipairs(due) do forget(list) end
  local left = tonumber(max)
  for _ = 1, 100 do
    local n = left > 0 and call('SRANDMEMBER', base .. 'x')
    if not n then break end
    local ids = call('SPOP', base .. 'm:' .. n, left)
    for _, id in ipairs(ids) do
      local row = dropHeld(id)
      if row then call('ZREM', base .. row.key, id) end
    end
    left = left - #ids
    if left > 0 then left = left - #call('SPOP', base .. 's:' .. n, left) end
    if left > 0 then call('SREM', base .. 'x', n) end
  end
  return { max - left, (#due == 100 or call('EXISTS', base .. 'x') == 1) and 1 or 0 }
end
`;
