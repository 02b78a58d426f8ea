-- KEYS[1] is the table of stops. ARGV[11]: the name of one, or nothing for all. Those whose time is
-- over do not count.
local count = 0
for _, name in ipairs(ARGV[11] ~= '' and { ARGV[11] } or redis.call('HKEYS', KEYS[1])) do
  local stop = redis.call('HGET', KEYS[1], name)
  if stop then
    local ends = string.match(stop, '^(%d+)')
    if not ends or tonumber(ends) > now then count = count + 1 end
    redis.call('HDEL', KEYS[1], name)
  end
end
return { now, 'RESUMED', count }
