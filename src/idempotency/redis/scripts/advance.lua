-- ARGV[11]: next check after (ms).
local record = load(KEYS[1])
local final = record and record.state == 'DONE' and record.class ~= 'OPEN'
if not record or final or record.state == 'CONFLICT' or too_new(record) then
  redis.call('ZREM', KEYS[4], digest)
  if not record then redis.call('ZREM', KEYS[5], digest) end
  return { now, 'NO' }
end
if record.state == 'SENT' and tonumber(record.lease_end) <= now then
  record.state, record.ambiguous = 'UNKNOWN', '1'
end
due(record, now + tonumber(ARGV[11]))
save(record, false)
return { now, 'YES' }
