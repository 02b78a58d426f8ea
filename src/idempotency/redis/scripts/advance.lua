-- ARGV[11]: next check after (ms).
local record = load(KEYS[1])
-- A release that reads it has to find it: it stays due where it is.
if record and too_new(record) then
  redis.call('ZADD', KEYS[4], 'XX', text(now + tonumber(ARGV[11])), digest)
  return { now, redis.call('ZSCORE', KEYS[4], digest) and 'YES' or 'NO' }
end
local final = record and record.state == 'DONE' and record.class ~= 'OPEN'
if not record or final or record.state == 'CONFLICT' then
  redis.call('ZREM', KEYS[4], digest)
  if not record then redis.call('ZREM', KEYS[5], digest) end
  return { now, 'NO' }
end
abandon(record)
due(record, now + tonumber(ARGV[11]))
save(record, false)
return { now, 'YES' }
