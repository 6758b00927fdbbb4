/** The part of the board's script that submits and moderates. */
export const WRITING = `
local function show(row)
  for level = 0, row.level do call('ZADD', zset(level, row.n), text(row.score), member(row)) end
end

local function conceal(row)
  for level = 0, row.level do call('ZREM', zset(level, row.n), member(row)) end
end

-- Shows a row, or does not, by what else is stored.
local function place(row)
  if isShown(row) then show(row) else conceal(row) end
end

local function drop(row)
  conceal(row)
  call('DEL', base .. 'e:' .. row.id, base .. 'g:' .. row.id)
  call('ZREM', base .. row.key, row.id)
  call('SREM', base .. 'm:' .. row.n, row.id)
  if row.hidden then call('ZREM', base .. 'h:' .. row.board, row.id) end
end

-- The rules of the board's last submission. Where its group is another one now, the bans of that one hold.
local function setRules(board, group, held)
  local before = rulesOf[board]
  if before.held == held then return end
  call('SET', base .. 'v', '2')
  call('SET', base .. board, held)
  rulesOf[board] = nil
  if not before.group or before.group == group then return end
  call('SREM', base .. 'H:' .. before.group, board)
  call('SADD', base .. 'H:' .. group, board)
  for _, one in ipairs({ before.group, group }) do
    for _, player in ipairs(call('ZRANGE', base .. 'b:' .. one, 0, -1)) do
      for _, id in ipairs(idsOf(call('HGET', base .. 'k:' .. one, player) or '')) do
        local row = read(id)
        if row and row.board == board then place(row) end
      end
    end
  end
end

-- The list's number: made where there is none, and kept as long as any submission asks; without an end it is for ever.
local function numberOf(list, board, period, forget)
  local key = base .. 'z0' .. list
  local n = call('HGET', key, 'n')
  if not n then
    n = text(call('INCR', base .. 'n'))
    call('HSET', key, 'n', n, 'board', board, 'period', period)
    call('HSET', base .. 'L:' .. board, list, n)
    if forget ~= '' then call('HSET', key, 'forget', forget) call('ZADD', base .. 'f', forget, list) end
    numbers[list] = n
    return n
  end
  numbers[list] = n
  local held = call('HGET', key, 'forget')
  if held and (forget == '' or tonumber(forget) > tonumber(held)) then
    if forget == '' then call('HDEL', key, 'forget') call('ZREM', base .. 'f', list)
    else call('HSET', key, 'forget', forget) call('ZADD', base .. 'f', forget, list) end
  end
  return n
end

local function better(a, b, order) if order == 'asc' then return a < b end return a > b end

local function keepName(group, player, unique)
  local before = call('HGET', base .. 'w:' .. group, player)
  if before then call('HDEL', base .. 'u:' .. group, before) end
  if unique ~= '' then
    call('HSET', base .. 'u:' .. group, unique, player)
    call('HSET', base .. 'w:' .. group, player, unique)
  elseif before then call('HDEL', base .. 'w:' .. group, player) end
end

local function isTaken(group, player, unique)
  local owner = unique ~= '' and call('HGET', base .. 'u:' .. group, unique)
  return owner and owner ~= player
end

function actions.submit(board, key, group, held, min, max, score, at, level, player, name, submission, content, unique, log, count)
  local order, operator, least = string.match(held, '^(%S+) (%S+) (%d)')
  least = tonumber(least)
  enter(group)
  know(key, player)
  if banned(player, group) then return { 'banned' } end
  if isTaken(group, player, unique) then return { 'taken' } end
  setRules(board, group, held)
  min, max, score, at, level = tonumber(min), tonumber(max), tonumber(score), tonumber(at), tonumber(level)
  local function nextOf(row)
    -- What is too weak to be shown must not stand in the way of what can be.
    if not row or row.level < least then return score, level end
    -- A sum is worth as much as its weakest part.
    if operator == 'sum' then return math.min(max, math.max(min, row.score + score)), math.min(row.level, level) end
    if operator == 'last' and at >= row.at or operator == 'best' and better(score, row.score, order) then return score, level end
  end
  local answer
  local kept = false
  for i = 19, 18 + 5 * count, 5 do
    local list, status = ARGV[i], 'repeated'
    local n = numberOf(list, board, ARGV[i + 1], ARGV[i + 2])
    local known = idIn(key, n)
    local row = read(known)
    if call('SADD', base .. 's:' .. n, submission) == 1 then
      local value, worth = nextOf(row)
      status = value and 'stored' or 'kept'
      if value then
        kept = true
        if row then conceal(row)
        else
          row = { id = ARGV[i + 3], hidden = false, n = n, list = list, board = board, key = key, place = ARGV[i + 4], player = player }
          -- A row that Redis has evicted.
          if known then call('ZREM', base .. key, known) call('SREM', base .. 'm:' .. n, known) end
          call('ZADD', base .. key, n, row.id)
          call('SADD', base .. 'm:' .. n, row.id)
        end
        row.score, row.at, row.level, row.name, row.submission, row.content = value, at, worth, name, submission, content
        write(row)
        if log ~= '' then call('SET', base .. 'g:' .. row.id, log) else call('DEL', base .. 'g:' .. row.id) end
        if not row.hidden then show(row) end
      end
    end
    if not answer then
      answer = { status }
      if row then
        local least_shown = windowOf(n, least, order, min, max)
        answer = { status, row.id, row.held, rankIn(least_shown, row.score) }
      end
    end
  end
  if kept and unique ~= '' then keepName(group, player, unique) end
  return answer
end

local function noteHidden(row)
  call('ZADD', base .. 'h:' .. row.board, 0, row.id)
  call('SADD', base .. 'H:' .. (rulesOf[row.board].group or ''), row.board)
end

-- The rows that a moderator means by one of them: the player's of the same submission; of a board that adds up, those that it was added to.
local function sameSubmission(id)
  local row = read(id)
  local rows = {}
  if not row then return rows end
  local sums = rulesOf[row.board].operator == 'sum'
  for _, one in ipairs(idsOf(row.key)) do
    local other = read(one)
    if other and other.board == row.board and (sums and call('SISMEMBER', base .. 's:' .. other.n, row.submission) == 1
      or not sums and other.submission == row.submission) then rows[#rows + 1] = other end
  end
  return rows
end

function actions.remove(id)
  local rows = sameSubmission(id)
  for _, row in ipairs(rows) do drop(row) end
  return #rows
end

function actions.hide(id, hidden)
  local rows = sameSubmission(id)
  for _, row in ipairs(rows) do
    row.hidden = hidden == '1'
    write(row)
    if row.hidden then noteHidden(row) else call('ZREM', base .. 'h:' .. row.board, row.id) end
    place(row)
  end
  return #rows
end

function actions.ban(key, group, player, ban)
  enter(group)
  know(key, player)
  if ban == '1' then setBan(key, player, group) else liftBan(player, group) end
  for _, row in ipairs(rowsIn(key, group)) do place(row) end
  return 1
end
`;
