-- The part of a script that adds votes to the board and to the figures.

local moved, replaced = {}, 0 -- by field of tally; in this run

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

-- Carries the moves out: each field of the tally by itself, and each band and album once.
local function board(base)
  local changed, emptied = false, false
  local bands, albums = {}, {}
  for field, n in pairs(moved) do
    if n ~= 0 then
      changed = true
      emptied = emptied or n < 0
      if redis.call('HINCRBY', base .. ':tally', field, n) == 0 then
        redis.call('HDEL', base .. ':tally', field)
      end
      local band, album = string.match(field, '^([^\31]*)\31([^\31]*)\31')
      bands[band] = (bands[band] or 0) + n
      if album ~= '' then
        album = band .. ' — ' .. album
        albums[album] = (albums[album] or 0) + n
      end
    end
  end
  for band, n in pairs(bands) do
    redis.call('ZINCRBY', base .. ':bands', n, band)
  end
  for album, n in pairs(albums) do
    redis.call('ZINCRBY', base .. ':albums', n, album)
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
end

-- Adds the figures of ARGV[first..last], four each: end of the key, field, increment, seconds to keep the key or '0'.
-- Returns the ends of those keys that are kept for a time only.
local function figures(base, first, last)
  local passing = {}
  for i = first, last, 4 do
    redis.call('HINCRBY', base .. ARGV[i], ARGV[i + 1], ARGV[i + 2])
    if ARGV[i + 3] ~= '0' then
      passing[ARGV[i]] = ARGV[i + 3]
    end
  end
  for key, keep in pairs(passing) do
    redis.call('EXPIRE', base .. key, keep)
  end
  return passing
end
