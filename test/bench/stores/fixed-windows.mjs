/** The script of a store with fixed windows, to compare with: `adapters/_lua.ts` tells what comes and goes. Admits all or nothing, as that does. */
export const FIXED = `
local K, A, call = KEYS, ARGV, redis.call
local n = #K
local serial = A[n * 4 + 2] + 0
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if A[n * 4 + 1] ~= '' and now > A[n * 4 + 1] + 0 then return {serial, -now} end
local values = call('MGET', unpack(K))
local out, lives = {serial, now}, {}
for i = 1, n do
  local a = i * 4
  local left, x = A[a - 3] - A[a - 2] - (values[i] or 0), A[a - 1] + 0
  -- A window of w seconds comes as its 11 sub-windows of w / 10.
  local reset = x
  if A[a] ~= '' then
    local window = x / 11 * 10
    reset = now - now % window + window
  end
  if left < 0 or reset <= now then return redis.error_reply('ERR refused') end
  lives[i] = string.format('%.0f', reset)
  out[i * 2 + 1], out[i * 2 + 2] = left, reset
end
for i = 1, n do
  if values[i] then call('INCRBY', K[i], A[i * 4 - 2]) else call('SET', K[i], A[i * 4 - 2], 'PXAT', lives[i]) end
end
return out
`;
