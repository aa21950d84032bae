-- Tells the life of a shard's counts.
--
-- KEYS[1]  beginning of the shard's keys
-- Returns  its number
-- Errors   LIFE: the counts are not known to be what the log says
local number, fault = life(KEYS[1])
if not number then
  return redis.error_reply(fault)
end
return tonumber(number)
