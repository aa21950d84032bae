-- Puts keys of a shadow in the place of the living ones, and deletes others. Nobody counts meanwhile.
--
-- KEYS[1]  beginning of the shard's keys
-- ARGV     token, step, number of keys to move, the ends of these, the ends of those to delete
-- Returns  1
-- Errors   STALE
local base, moves = KEYS[1], tonumber(ARGV[3])

local is_due, fault = due(base, ARGV[1], tonumber(ARGV[2]))
if not is_due then
  return fault and redis.error_reply(stale) or 1
end
if moves > 0 and redis.call('EXISTS', base .. ':life') == 1 then
  return redis.error_reply(stale)
end
for i = 4, 3 + moves do
  redis.call('RENAME', base .. ':next' .. ARGV[i], base .. ARGV[i])
end
delete(base, 4 + moves)
return 1
