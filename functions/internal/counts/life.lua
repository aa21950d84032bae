-- The part of a script that knows whether the counts are what the log says. See "Lives" in doc.go.

-- The name of this Redis process, which has another one after each restart, and on each replica. An embedded Redis has
-- none and keeps nothing when it ends.
local function process()
  local told = redis.pcall('INFO', 'server')
  if type(told) == 'string' then
    return string.match(told, 'run_id:(%x+)')
  end
  if string.find(told.err, 'is not supported', 1, true) then
    return 'embedded'
  end
  return nil, told.err
end

-- Returns the number of the life that this process was given in the shard, whether ids are owed, and whether counting is
-- held; or nil and the error to reply.
local function life(base)
  local kept = redis.call('MGET', base .. ':life', base .. ':held')
  if not kept[1] then
    return nil, 'LIFE Redis has no counts of it'
  end
  local mine, fault = process()
  if not mine then
    return nil, fault or 'ERR this Redis does not tell its run_id'
  end
  local given, number, owed = string.match(kept[1], '^(%S+) (%d+)(.*)$')
  if given ~= mine then
    return nil, 'LIFE they are those of another Redis process'
  end
  return number, owed ~= '', kept[2]
end
