-- Ends a box in one shard: drops its pending decision and, if it is the logged one, adds it to the figures.
--
-- KEYS[1]  beginning of the shard's keys
-- ARGV     event id, the life that the caller's decision was made in, the log's attempt, boxes to keep in newest,
--          the box's newest votes or '', then figures
-- Returns  1 if the figures were added, else 0
-- Errors   LIFE: the counts are not known to be what the log says, or are in another life
local base, event, logged = KEYS[1], ARGV[1], ARGV[3]

local number, fault = life(base)
if not number then
  return redis.error_reply(fault)
end
if number ~= ARGV[2] then
  return redis.error_reply('LIFE it ended after the box was decided')
end
local kept = redis.call('HGET', base .. ':pending', event)
if not kept then
  return 0
end
if string.sub(kept, 1, #logged + 1) ~= logged .. '|' then
  -- The log holds the box, so all its votes were to be known here.
  if string.find(kept, '|.*[co]') then
    redis.call('DEL', base .. ':life')
    return redis.error_reply('LIFE a box of the log was not in them')
  end
  redis.call('HDEL', base .. ':pending', event)
  return 0
end
redis.call('HDEL', base .. ':pending', event)
figures(base, 6, #ARGV)
if ARGV[5] ~= '' then
  redis.call('XADD', base .. ':newest', 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[5])
end
return 1
