-- The part of a script that is one step of a shadow. Steps are numbered, so that one whose answer was lost, and which is
-- sent again, is done once; and so that a shadow that is another's by now, or was lost with a Redis, is not taken for
-- a whole one.

-- Returns whether the step is to be done, and if not, whether that is an error.
local function due(base, token, step)
  local key = base .. ':next:shadow'
  local at = redis.call('GET', key)
  if at == token .. ' ' .. (step - 1) then
    redis.call('SET', key, token .. ' ' .. step)
    return true
  end
  return false, at ~= token .. ' ' .. step
end

local stale = 'STALE the shadow is not what it was'

-- Deletes the keys of ARGV[first..], of which the ends are given.
local function delete(base, first)
  local keys = {}
  for i = first, #ARGV do
    keys[#keys + 1] = base .. ARGV[i]
    if #keys == 200 or i == #ARGV then
      redis.call('DEL', unpack(keys))
      keys = {}
    end
  end
end
