-- Counts the votes of one box that belong to one shard, and keeps the decision.
-- A repetition gets the kept decision and changes nothing.
--
-- KEYS[1]  beginning of the shard's keys
-- ARGV     event id, attempt, mode of the limit, its number, number of tally fields, the fields,
--          then for each vote: bucket, id, number of its field, and unless the mode is none, voter's bucket or '', voter,
--          time of receipt in ms. A refused vote's bucket is ''.
-- Returns  <life>:<attempt>|<one letter a vote>
-- Errors   LIFE: the counts are not known to be what the log says; HELD: no box is begun now
local base, event, attempt = KEYS[1], ARGV[1], ARGV[2]
local mode, most, fields = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local number, owed, held = life(base)
if not number then
  return redis.error_reply(owed)
end
local kept = redis.call('HGET', base .. ':pending', event)
if kept then
  return kept
end
if held then
  return redis.error_reply('HELD the contest is being recounted')
end

local ids, over = base .. ':ids:', base .. ':over:'
local voters = base .. (mode == 'replace' and ':latest:' or ':voters:')
local limited = mode ~= 'none' or redis.call('EXISTS', base .. ':limited') == 1

-- Counts a vote if the limit of its voter lets it.
local function admit(key, voter, at, id, field)
  if mode == 'replace' then
    return replace(key, voter, at, id, field)
  end
  if tonumber(redis.call('HGET', key, voter) or '0') >= most then
    return false
  end
  redis.call('HINCRBY', key, voter, 1)
  move(field, 1)
  return true
end

local letters, each = {}, mode == 'none' and 3 or 6
for i = 6 + fields, #ARGV, each do
  local bucket, id, letter = ARGV[i], ARGV[i + 1], 'c'
  local owing = owed and redis.call('HGET', base .. ':owed', id)
  if bucket == '' then
    letter = 'r'
  elseif owing and string.find(owing, '\31' .. event .. '\31', 1, true) then
    letter = 'd' -- so says the log
  elseif limited and redis.call('SISMEMBER', over .. bucket, id) == 1 then
    letter = 'd'
  elseif redis.call('SADD', ids .. bucket, id) == 0 then
    letter = 'd'
  else
    local field = ARGV[5 + tonumber(ARGV[i + 2])]
    if mode == 'none' or ARGV[i + 3] == '' then
      move(field, 1)
    elseif not admit(voters .. ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], id, field) then
      letter = 'o'
      redis.call('SREM', ids .. bucket, id)
      redis.call('SADD', over .. bucket, id)
      redis.call('SET', base .. ':limited', 1)
    end
    if owing then
      redis.call('HDEL', base .. ':owed', id)
    end
  end
  letters[#letters + 1] = letter
end
board(base)

kept = number .. ':' .. attempt .. '|' .. table.concat(letters)
redis.call('HSET', base .. ':pending', event, kept)
return kept
