-- Begins a shadow of a shard.
--
-- KEYS[1]  beginning of the shard's keys
-- ARGV     token of the shadow
-- Returns  1 if keys of an earlier shadow may be there, else 0
local shadow = KEYS[1] .. ':next:shadow'
local there = redis.call('EXISTS', shadow)
redis.call('SET', shadow, ARGV[1] .. ' 0')
return there
