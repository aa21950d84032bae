-- Makes the shadow of a shard the living counts, all that is shown of them at once, and gives them a life.
--
-- KEYS[1]  beginning of the shard's keys
-- ARGV     token, last step of the shadow, number of the life, least version, first and last minute and first and last
--          hour of which the living counts may have history, then the newest votes of boxes, oldest first
-- Returns  1
-- Errors   STALE
local base, number = KEYS[1], ARGV[3]
local shadow = base .. ':next'

local mine, fault = process()
if not mine then
  return redis.error_reply(fault or 'ERR this Redis does not tell its run_id')
end
local alive = redis.call('GET', base .. ':life')
if alive and string.match(alive, '^(%S+ %d+)') == mine .. ' ' .. number then
  return 1 -- it was done, and the answer lost
end
if alive or redis.call('GET', shadow .. ':shadow') ~= ARGV[1] .. ' ' .. ARGV[2] then
  return redis.error_reply(stale)
end

local owed = redis.call('EXISTS', shadow .. ':owed') == 1
redis.call('SET', base .. ':life', mine .. ' ' .. number .. (owed and ' owed' or ''))
-- A reader knows the board by its version, so this one is another than any that was.
local version = math.max(tonumber(ARGV[4]), tonumber(redis.call('GET', base .. ':version') or '0') + 1)
redis.call('SET', base .. ':version', string.format('%.0f', version))
for minute = tonumber(ARGV[5]), tonumber(ARGV[6]) do
  redis.call('DEL', base .. ':seconds:' .. string.format('%.0f', minute))
end
for hour = tonumber(ARGV[7]), tonumber(ARGV[8]) do
  redis.call('DEL', base .. ':minutes:' .. string.format('%.0f', hour))
end
redis.call('DEL', base .. ':pending', base .. ':held', base .. ':newest')
local keys = redis.call('SMEMBERS', shadow .. ':history')
for _, key in ipairs({':tally', ':bands', ':albums', ':figures', ':reasons', ':limited', ':owed'}) do
  redis.call('DEL', base .. key)
  keys[#keys + 1] = key
end
for _, key in ipairs(keys) do
  if redis.call('EXISTS', shadow .. key) == 1 then
    redis.call('RENAME', shadow .. key, base .. key)
  end
end
for i = 9, #ARGV do
  redis.call('XADD', base .. ':newest', '*', 'e', ARGV[i])
end
redis.call('DEL', shadow .. ':history', shadow .. ':version', shadow .. ':shadow')
return 1
