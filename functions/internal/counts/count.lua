-- Counts the votes of one box that belong to one shard, and keeps the decision.
-- A repetition gets the kept decision and changes nothing.
--
-- KEYS[1]  beginning of the shard's keys
-- ARGV     event id, attempt, mode of the limit, its number, decided letters or '',
--          number of tally fields, the fields,
--          then six for each vote: bucket, id, number of its field, voter's bucket or '', voter, time of receipt in ms.
--          A refused vote's bucket is ''. Decided letters come from the log: they are carried out, not decided again.
-- Returns  <attempt>|<one letter a vote>
local base, event, attempt = KEYS[1], ARGV[1], ARGV[2]
local mode, most, decided, fields = ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])

local kept = redis.call('HGET', base .. ':pending', event)
if kept then
  return kept
end

local ids, over = base .. ':ids:', base .. ':over:'
local voters = base .. (mode == 'replace' and ':latest:' or ':voters:')
local limited = mode ~= 'none' or redis.call('EXISTS', base .. ':limited') == 1
local moved, replaced = {}, 0 -- by field of tally; in this box

local function move(field, n)
  moved[field] = (moved[field] or 0) + n
end

-- Counts a vote that replaces its voter's earlier one, or says that it is the earlier one itself.
local function replace(key, voter, at, id, field)
  local held = redis.call('HGET', key, voter)
  if held then
    local held_at, held_id, held_field = string.match(held, '^(%d+)|(-?%d+)|(.*)$')
    local later = tonumber(at) - tonumber(held_at)
    if later < 0 or (later == 0 and id < held_id) then
      return false
    end
    move(held_field, -1)
    replaced = replaced + 1
  end
  redis.call('HSET', key, voter, at .. '|' .. id .. '|' .. field)
  move(field, 1)
  return true
end

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

-- Counts a vote that the log holds as counted.
local function restore(key, voter, at, id, field)
  if mode ~= 'replace' then
    redis.call('HINCRBY', key, voter, 1)
    move(field, 1)
  elseif not replace(key, voter, at, id, field) then
    replaced = replaced + 1 -- it counted until the one that is here already took its place
  end
end

local letters = {}
for i = 7 + fields, #ARGV, 6 do
  local n = #letters + 1
  local given = string.sub(decided, n, n)
  local bucket, id, letter = ARGV[i], ARGV[i + 1], given
  if bucket == '' then
    letter = 'r'
  elseif given == 'd' then
    letter = 'd'
  elseif given == 'o' then
    redis.call('SADD', over .. bucket, id)
    redis.call('SET', base .. ':limited', 1)
  elseif limited and redis.call('SISMEMBER', over .. bucket, id) == 1 then
    letter = 'd'
  elseif redis.call('SADD', ids .. bucket, id) == 0 then
    letter = 'd'
  else
    letter = 'c'
    local field, voter, at = ARGV[6 + tonumber(ARGV[i + 2])], ARGV[i + 4], ARGV[i + 5]
    local key = voters .. ARGV[i + 3]
    if ARGV[i + 3] == '' or mode == 'none' then
      move(field, 1)
    elseif given == 'c' then
      restore(key, voter, at, id, field)
    elseif not admit(key, voter, at, id, field) then
      letter = 'o'
      redis.call('SREM', ids .. bucket, id)
      redis.call('SADD', over .. bucket, id)
      redis.call('SET', base .. ':limited', 1)
    end
  end
  letters[n] = letter
end

local changed, emptied = false, false
for field, n in pairs(moved) do
  if n ~= 0 then
    changed = true
    local band, album = string.match(field, '^([^\31]*)\31([^\31]*)\31')
    if redis.call('HINCRBY', base .. ':tally', field, n) == 0 then
      redis.call('HDEL', base .. ':tally', field)
    end
    redis.call('ZINCRBY', base .. ':bands', n, band)
    if album ~= '' then
      redis.call('ZINCRBY', base .. ':albums', n, band .. ' — ' .. album)
    end
    emptied = emptied or n < 0
  end
end
if emptied then
  redis.call('ZREMRANGEBYSCORE', base .. ':bands', '-inf', 0)
  redis.call('ZREMRANGEBYSCORE', base .. ':albums', '-inf', 0)
end
if changed then
  redis.call('INCR', base .. ':version')
end
if replaced > 0 then
  redis.call('HINCRBY', base .. ':figures', 'replaced', replaced)
end

kept = attempt .. '|' .. table.concat(letters)
redis.call('HSET', base .. ':pending', event, kept)
return kept
