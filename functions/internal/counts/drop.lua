-- Deletes living counts that have no life, to make room for the shadow.
--
-- KEYS[1]  beginning of the shard's keys
-- ARGV     token, the ends of the keys
-- Returns  1
-- Errors   OOM: they live, so they stay; STALE
local base = KEYS[1]

if redis.call('EXISTS', base .. ':life') == 1 then
  return redis.error_reply('OOM no room for a second set of counts')
end
if string.match(redis.call('GET', base .. ':next:shadow') or '', '^%S+') ~= ARGV[1] then
  return redis.error_reply(stale)
end
delete(base, 2)
return 1
