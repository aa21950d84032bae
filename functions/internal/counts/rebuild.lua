-- Adds votes of the log to the shadow of a shard. What the log says of them is carried out, not decided again.
--
-- KEYS[1]  beginning of the shard's keys
-- ARGV     token, step, mode of the limit, number of tally fields, the fields, number of arguments that are figures,
--          the figures, then eight for each vote that is not refused: letter, bucket, id, number of its field,
--          voter's bucket or '', voter, time of receipt in ms, event id
-- Returns  0, or the number of a vote that was counted before
-- Errors   STALE
local base, step, mode = KEYS[1], tonumber(ARGV[2]), ARGV[3]
local fields = tonumber(ARGV[4])
local first = 6 + fields
local votes = first + tonumber(ARGV[5 + fields])

local is_due, fault = due(base, ARGV[1], step)
if not is_due then
  return fault and redis.error_reply(stale) or 0
end
base = base .. ':next'
local ids, over = base .. ':ids:', base .. ':over:'
local voters = base .. (mode == 'replace' and ':latest:' or ':voters:')

-- Counts a vote that the log holds as counted.
local function restore(key, voter, at, id, field)
  if mode ~= 'replace' then
    redis.call('HINCRBY', key, voter, 1)
    move(field, 1)
  elseif not replace(key, voter, at, id, field) then
    replaced = replaced + 1 -- it counted until the one that is here already took its place
  end
end

local twice, owed = 0, redis.call('EXISTS', base .. ':owed') == 1
for i = votes, #ARGV, 8 do
  local letter, bucket, id = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if letter == 'd' then
    if redis.call('SISMEMBER', ids .. bucket, id) == 0 and redis.call('SISMEMBER', over .. bucket, id) == 0 then
      local owing = redis.call('HGET', base .. ':owed', id) or '\31'
      redis.call('HSET', base .. ':owed', id, owing .. ARGV[i + 7] .. '\31')
      owed = true
    end
  else
    if letter == 'o' then
      redis.call('SADD', over .. bucket, id)
      redis.call('SET', base .. ':limited', 1)
    elseif redis.call('SADD', ids .. bucket, id) == 0 then
      twice = (i - votes) / 8 + 1
    else
      local field = ARGV[4 + tonumber(ARGV[i + 3])]
      if ARGV[i + 4] == '' or mode == 'none' then
        move(field, 1)
      else
        restore(voters .. ARGV[i + 4], ARGV[i + 5], ARGV[i + 6], id, field)
      end
    end
    if owed then
      redis.call('HDEL', base .. ':owed', id)
    end
  end
end
board(base)
for key in pairs(figures(base, first, votes - 1)) do
  redis.call('SADD', base .. ':history', key)
end
return twice
