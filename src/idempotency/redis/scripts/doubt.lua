-- ARGV from 18: gives up, expires, next check after (ms), number of attempts, attempts,
-- fingerprints.
local gives_up, expires = ARGV[18] == '1', ARGV[19] == '1'
local count = tonumber(ARGV[21])
local record = load(KEYS[1])
local created = not record
if created then record = again(22 + 2 * count) end
if too_new(record) then return { now, 'NEW', record.v } end
log(record, count, 22)
if not held(record) or not unresolved(record) then
  save(record, true)
  return { now, 'FENCED', flat(record) }
end
record.ambiguous = '1'
if gives_up then
  record.state, record.lease_end = 'UNKNOWN', '0'
  record.expires = expires and text(now + retention_ms) or unresolved_expiry(record, now)
  due(record, now + tonumber(ARGV[20]))
  wake(record)
elseif created then
  record.lease_end = text(now + lease_ms)
  record.expires = unresolved_expiry(record, now + lease_ms)
  due(record, now + lease_ms)
end
save(record, true)
return { now, 'RECORDED' }
