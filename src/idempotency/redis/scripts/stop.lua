-- KEYS[1] is the table of stops. ARGV from 11: name; for how long (ms), or nothing; the most stops;
-- operation, caller, currency, by, reason, a line each.
local known = redis.call('HEXISTS', KEYS[1], ARGV[11]) == 1
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  local ends = string.match(redis.call('HGET', KEYS[1], name), '^(%d+)')
  if ends and tonumber(ends) <= now then redis.call('HDEL', KEYS[1], name) end
end
if not known and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[13]) then return { now, 'TOO_MANY' } end
local ends = ARGV[12] ~= '' and text(now + tonumber(ARGV[12])) or ''
redis.call('HSET', KEYS[1], ARGV[11], ends .. '\n' .. text(now) .. '\n' .. ARGV[14])
return { now, 'STOPPED' }
