-- Draws the charts of a contest: all of them change at once. Charts that somebody drew from later counts stay.
--
-- KEYS[1]  beginning of the charts' keys
-- ARGV     version of the counts, votes settled, time of the point in ms, points to keep, then four lists, each behind
--          the number of its items: bands (votes, band), albums (votes, album), states (state, votes), the point (band, votes)
-- Returns  1 if the standings have the point, 0 if there is one of this time already
local base = KEYS[1]

local at = 5
local function list()
  local first, n = at + 1, tonumber(ARGV[at])
  at = first + n
  return { unpack(ARGV, first, at - 1) }
end
local bands, albums, states, point = list(), list(), list(), list()

local drawn, settled = string.match(redis.call('GET', base .. ':drawn') or '0 0', '^(%d+) (%d+)$')
drawn, settled = tonumber(drawn), tonumber(settled)
if drawn > tonumber(ARGV[1]) or drawn == tonumber(ARGV[1]) and settled > tonumber(ARGV[2]) then
  return 1
end
redis.call('SET', base .. ':drawn', ARGV[1] .. ' ' .. ARGV[2])

redis.call('DEL', base .. ':bands', base .. ':albums', base .. ':states')
if #bands > 0 then
  redis.call('ZADD', base .. ':bands', unpack(bands))
end
if #albums > 0 then
  redis.call('ZADD', base .. ':albums', unpack(albums))
end
if #states > 0 then
  redis.call('HSET', base .. ':states', unpack(states))
end

local last = redis.call('XREVRANGE', base .. ':standings', '+', '-', 'COUNT', 1)[1]
if #point == 0 or last and table.concat(last[2], '\31') == table.concat(point, '\31') then
  return 1
end
if last and tonumber(string.match(last[1], '^%d+')) >= tonumber(ARGV[3]) then
  return 0
end
redis.call('XADD', base .. ':standings', 'MAXLEN', '~', ARGV[4], ARGV[3] .. '-0', unpack(point))
return 1
