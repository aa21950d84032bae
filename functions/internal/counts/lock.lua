-- Takes the lock of a contest, unless somebody has it. A lock that was taken in another Redis process is nobody's: who
-- had it was cut off.
--
-- KEYS[1]  beginning of a shard's keys
-- ARGV     token of who takes it, ms to keep it
-- Returns  what the lock holds now
-- Errors   LOCKED
local key = KEYS[1] .. ':mender'
local mine, fault = process()
if not mine then
  return redis.error_reply(fault or 'ERR this Redis does not tell its run_id')
end
local wanted = mine .. ' ' .. ARGV[1]
local held = redis.call('GET', key)
if held and held ~= wanted and string.match(held, '^%S+') == mine then
  return redis.error_reply('LOCKED by somebody else')
end
redis.call('SET', key, wanted, 'PX', ARGV[2])
return wanted
