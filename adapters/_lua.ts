/**
 * The scripts of a store in Redis. Each key of the store is one Redis key, and its value is one short string:
 *
 * | value | holds |
 * |---|---|
 * | `1750000000000` | a uses quota: its expiry (ms), used once. Redis stores it as an integer, for 16 bytes |
 * | `1750000000000:3` | the same, three units used |
 * | `r`, 6 bytes, 11 x w bytes | a rate quota: the newest sub-window (+ 2^47), its units and those of the ten before |
 * | `bUNTIL;USES;DIES;RING` | mostly a block: its end (0: none), then the key's other records, with the ring's expiry |
 *
 * Charges and refunds do not change a block. It goes when it is lifted or expires.
 *
 * Arguments: `ARGV` has 4 for each key. Three more follow: the server's time after which the caller no longer waits
 * ("": unknown), the number of the call, and the time by the store's own clock, if it has one. Otherwise the server's
 * clock counts.
 *
 * A call that comes too late, from the queue of a driver or of a server that stood still, does nothing. It answers with
 * the negated time of the server. If it were charged, a caller that was told "failed" and tries again would pay twice.
 *
 * Every answer begins with the number of its call. Drivers assign answers to calls by their order only. If the order
 * slips by one (node-redis goes on after invalid bytes on the connection), a refused caller would get the next caller's
 * answer.
 *
 * Keys expire by themselves. A uses quota expires at its `expiresAt` to the millisecond, never earlier, since it could
 * then be spent again. A ring expires 11 sub-windows after its last charge. With a clock of the store's own, keys live
 * a minute longer, since the clocks of processes may differ.
 *
 * A spend is all or nothing: everything is decided before the first write, and Redis refuses the first write if it has
 * no memory left. An unknown value is an error, and nothing is admitted.
 *
 * Numbers are always written with `%.0f`: Lua's own `tostring` rounds to 14 digits.
 */

const COMMON = `
local K, A, call, byte, char, floor = KEYS, ARGV, redis.call, string.byte, string.char, math.floor
local n = #K
local serial = A[n * 4 + 2] + 0
local time = call('TIME')
local server = time[1] * 1000 + floor(time[2] / 1000)
if A[n * 4 + 1] ~= '' and server > A[n * 4 + 1] + 0 then return {serial, -server} end
local virtual = A[n * 4 + 3]
local now = virtual and virtual + 0 or server
`;

/** Functions that read and write any value. The fast path does without them: creating a closure takes time. */
const RECORDS = `
local function text(number) return string.format('%.0f', number) end

-- newest, and units by age at t[1] .. t[11]
local function ringOf(v)
  local b = {byte(v, 1, -1)}
  local w, newest, t = (#v - 7) / 11, 0, {}
  for k = 2, 7 do newest = newest * 256 + b[k] end
  for age = 0, 10 do
    local units = 0
    for k = 8 + age * w, 7 + age * w + w do units = units * 256 + b[k] end
    t[age + 1] = units
  end
  return newest - 140737488355328, t
end

local function ringText(newest, t)
  local most, w = 0, 1
  for k = 1, 11 do if t[k] > most then most = t[k] end end
  while most > 255 do most, w = floor(most / 256), w + 1 end
  local b, number = {114}, newest + 140737488355328
  for k = 7, 2, -1 do b[k], number = number % 256, floor(number / 256) end
  for age = 0, 10 do
    number = t[age + 1]
    for k = 7 + age * w + w, 8 + age * w, -1 do b[k], number = number % 256, floor(number / 256) end
  end
  return string.char(unpack(b))
end

-- What is over is left out.
local function parse(v)
  local r = {blocked = 0, dies = 0, used = 0, ringDies = 0}
  local uses = v
  if not v then return r end
  local kind = byte(v)
  if kind == 114 then
    uses, r.ring = '', v
  elseif kind == 98 then
    local blocked, ringDies
    blocked, uses, ringDies, r.ring = string.match(v, '^b(%d+);([%d:]*);(%d+);(.*)$')
    r.blocked, r.ringDies = blocked + 0, ringDies + 0
    if r.blocked <= now then r.blocked = 0 end
    if r.ringDies <= now then r.ring = nil end
  end
  if uses ~= '' then
    local dies, used = string.match(uses, '^(%d+):?(%d*)$')
    r.dies, r.used = dies + 0, used == '' and 1 or used + 0
    if r.dies <= now then r.dies, r.used = 0, 0 end
  end
  return r
end

local function save(key, r)
  -- How long a ring lives is known to whoever charges it; to the others Redis tells it.
  if r.ring and r.ringDies == 0 then r.ringDies = now + math.max(0, call('PTTL', key)) end
  local dies, uses = math.max(r.blocked, r.dies, r.ring and r.ringDies or 0), ''
  if r.used > 0 then
    uses = r.used == 1 and text(r.dies) or text(r.dies) .. ':' .. text(r.used)
  end
  local v = uses
  if r.blocked > 0 or r.ring and r.used > 0 then
    v = 'b' .. text(r.blocked) .. ';' .. uses .. ';' .. text(r.ring and r.ringDies or 0) .. ';' .. (r.ring or '')
  elseif r.ring then
    v = r.ring
  end
  if v == '' then
    call('DEL', key)
  elseif virtual then
    call('SET', key, v, 'PX', text(dies - now + 60000))
  else
    call('SET', key, v, 'PXAT', text(dies))
  end
end
`;

/**
 * Charges every quota or none. `ARGV` for each key: limit and cost; then for a uses quota its `expiresAt` and "", for a
 * rate quota the length of 11 sub-windows (ms) and the shift of its grid.
 *
 * The answer is a list of numbers. All quotas charged and none would refuse: the call's number, the server's time, and
 * remaining and reset of each quota. Otherwise: the call's number, the server's time, the position of the refusing
 * quota (0: none), the wait (ms), and remaining, reset and why (0..3) of each.
 *
 * The first part is the fast path: all quotas are charged, and nothing is unusual. It is short, since Redis does
 * nothing else meanwhile, and its tables have their final size from the start, since Lua copies a table that grows. The
 * second part handles every case, and starts from the beginning.
 */
export const SPEND: string = `${COMMON}
local values = n > 0 and call('MGET', unpack(K)) or {}
local out, texts, ways, times, usual, a = {serial, server, 0, 0, 0, 0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}, true, 0
for i = 1, n do
  local cost, v, x, y = A[a + 2] + 0, values[i], A[a + 3], A[a + 4]
  local left, reset = A[a + 1] - cost, nil
  if cost == 0 then usual = false break end
  if y == '' then
    local used, held, more = cost
    if v then
      held, more = string.match(v, '^(%d+):?(%d*)$')
      used = held == x and cost + (more == '' and 1 or more)
    end
    reset, left = x + 0, used and A[a + 1] - used
    if not used or reset <= now or left < 0 then usual = false break end
    texts[i] = used == 1 and x or x .. ':' .. string.format('%.0f', used)
    ways[i], times[i] = virtual and 'PX' or 'PXAT', virtual and string.format('%.0f', reset - now + 60000) or x
  else
    local step, shift = x / 11, y + 0
    local sub = floor((now - shift) / step)
    local gone, n1, n2, n3, n4, n5, n6, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, kind, more = 11
    if v then
      kind, n1, n2, n3, n4, n5, n6, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, more = byte(v, 1, 19)
      if kind ~= 114 or more then usual = false break end
      gone = sub + 140737488355328 - (((((n1 * 256 + n2) * 256 + n3) * 256 + n4) * 256 + n5) * 256 + n6)
    end
    if gone > 10 then
      c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10 = 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    elseif gone < 0 then
      usual = false break
    else
      for _ = 1, gone do c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10 = 0, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 end
    end
    left = left - c0 - c1 - c2 - c3 - c4 - c5 - c6 - c7 - c8 - c9 - c10
    c0 = c0 + cost
    if left < 0 or c0 > 255 then usual = false break end
    if gone > 0 then
      local s = sub + 140737488355328
      n6, n5, n4 = s % 256, floor(s / 256) % 256, floor(s / 65536) % 256
      n3, n2, n1 = floor(s / 16777216) % 256, floor(s / 4294967296) % 256, floor(s / 1099511627776)
      texts[i] = char(114, n1, n2, n3, n4, n5, n6, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10)
      ways[i], times[i] = 'PX', virtual and string.format('%.0f', x + 60000) or x
    else
      -- Within a sub-window one byte changes, and the ring dies when it would have died.
      texts[i], ways[i] = char(c0), false
    end
    reset = (sub + 11) * step + shift
  end
  out[i * 2 + 1], out[i * 2 + 2] = left, reset
  a = a + 4
end
if usual then
  for i = 1, n do
    local way = ways[i]
    if way then call('SET', K[i], texts[i], way, times[i]) else call('SETRANGE', K[i], '7', texts[i]) end
  end
  -- An answer ends at the first that is not there.
  out[n * 2 + 3] = nil
  return out
end
${RECORDS}
local refused, usesRefuse, longest, records = 0, false, 0, {}
out = {serial, server, 0, 0}
for i = 1, n do
  local a = i * 4
  local limit, cost, x, y = A[a - 3] + 0, A[a - 2] + 0, A[a - 1] + 0, A[a]
  local need = cost > 0 and cost or 1
  local r = parse(values[i])
  local left, reset, why, wait = limit, now, 0, 0
  if y == '' then
    left, reset = limit - r.used, math.max(x, r.dies)
    if x <= now then left, why = 0, 3 elseif left < need then why = 1 end
    r.dies, r.used = reset, r.used + cost
  else
    local step, shift = x / 11, y + 0
    local sub = floor((now - shift) / step)
    local newest, t = sub - 11, nil
    if r.ring then newest, t = ringOf(r.ring) end
    local counted = math.max(0, math.min(11, newest - sub + 11))
    for k = 1, counted do left = left - t[k] end
    if left < limit then reset = (newest + 11) * step + shift end
    if left < need then
      why = 1
      local over, age = need - left, counted - 1
      while age > 0 do
        over = over - t[age + 1]
        if over <= 0 then break end
        age = age - 1
      end
      wait = (newest - age + 11) * step + shift - now
    end
    if cost > 0 then
      if counted == 0 then newest, t = sub, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} end
      while newest < sub do
        table.insert(t, 1, 0)
        newest = newest + 1
      end
      -- A clock that went back by more than the ring holds: the oldest that is kept, which is later than now.
      local age = math.min(10, newest - sub)
      t[age + 1] = t[age + 1] + cost
      r.ring, r.ringDies = ringText(newest, t), (newest + 11) * step + shift
    end
  end
  if left < 0 then left = 0 end
  if r.blocked > 0 then
    left, why, wait = 0, 2, math.max(wait, r.blocked - now)
  end
  if why > 0 and cost > 0 then
    if y == '' then
      if not usesRefuse then refused, usesRefuse = i, true end
    elseif wait > longest then
      longest = wait
      if not usesRefuse then refused = i end
    end
  end
  records[i] = r
  out[i * 3 + 2], out[i * 3 + 3], out[i * 3 + 4] = left, reset, why
end
out[3], out[4] = refused, longest
if refused > 0 then return out end
for i = 1, n do
  local cost, r = A[i * 4 - 2] + 0, records[i]
  if cost > 0 then
    out[i * 3 + 2] = out[i * 3 + 2] - cost
    out[i * 3 + 3] = A[i * 4] == '' and r.dies or r.ringDies
    save(K[i], r)
  end
end
return out
`;

/**
 * Gives back a spend. `ARGV` for each key: when it was charged (ms) in place of the limit; the rest as for {@link
 * SPEND}.
 */
export const REFUND: string = `${COMMON}${RECORDS}
local values = n > 0 and call('MGET', unpack(K)) or {}
for i = 1, n do
  local a = i * 4
  local at, cost, x, y = A[a - 3] + 0, A[a - 2] + 0, A[a - 1] + 0, A[a]
  local r = parse(values[i])
  if cost > 0 and y == '' then
    -- Fenced: a lease that ran out and was taken anew has another expiry.
    if r.dies == x and r.used >= cost then
      r.used = r.used - cost
      if r.used == 0 then r.dies = 0 end
      save(K[i], r)
    end
  elseif cost > 0 and r.ring then
    local step, shift = x / 11, y + 0
    local newest, t = ringOf(r.ring)
    local counted = math.max(0, math.min(11, newest - floor((now - shift) / step) + 11))
    local age = newest - floor((at - shift) / step)
    if age >= 0 and age < counted and t[age + 1] >= cost then
      t[age + 1] = t[age + 1] - cost
      local units = 0
      for k = 1, counted do units = units + t[k] end
      r.ring, r.ringDies = units > 0 and ringText(newest, t) or nil, (newest + 11) * step + shift
      save(K[i], r)
    end
  end
end
return {serial, 1}
`;

/** Blocks one key until `ARGV[1]` (ms), or lifts the block if that is not after now. `ARGV[2]` to `ARGV[4]` are "". */
export const BLOCK: string = `${COMMON}${RECORDS}
local r, expires = parse(call('GET', K[1])), A[1] + 0
if expires > now then
  r.blocked = math.max(r.blocked, expires)
  save(K[1], r)
elseif r.blocked > 0 then
  r.blocked = 0
  save(K[1], r)
end
return {serial, 1}
`;
