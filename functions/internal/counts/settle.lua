-- Ends a box in one shard: drops its pending decision and, if it is the logged one, adds it to the figures.
--
-- KEYS[1]  beginning of the shard's keys
-- ARGV     event id, the log's attempt, boxes to keep in newest, the box's newest votes or '',
--          then four for each figure: end of its key, field, increment, seconds to keep the key or '0'
-- Returns  1 if the figures were added, else 0
local base, event, logged = KEYS[1], ARGV[1], ARGV[2]

local kept = redis.call('HGET', base .. ':pending', event)
if not kept then
  return 0
end
redis.call('HDEL', base .. ':pending', event)
if string.sub(kept, 1, #logged + 1) ~= logged .. '|' then
  return 0
end
local touched = {}
for i = 5, #ARGV, 4 do
  local key = base .. ARGV[i]
  redis.call('HINCRBY', key, ARGV[i + 1], ARGV[i + 2])
  touched[key] = ARGV[i + 3]
end
for key, keep in pairs(touched) do
  if keep ~= '0' then
    redis.call('EXPIRE', key, keep)
  end
end
if ARGV[4] ~= '' then
  redis.call('XADD', base .. ':newest', 'MAXLEN', '~', ARGV[3], '*', 'e', ARGV[4])
end
return 1
