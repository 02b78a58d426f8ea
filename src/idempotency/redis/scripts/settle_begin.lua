-- ARGV[11]: resend window (ms).
local record = load(KEYS[1])
if not record then return { now, 'ABSENT' } end
if too_new(record) then return { now, 'NEW' } end
if record.state == 'DONE' then return { now, 'RESOLVED' } end
local own = record.owner == owner
if tonumber(record.lease_end) > now and not own then return { now, 'LEASED' } end
if unresolved(record) and tonumber(record.first_sent) + tonumber(ARGV[11]) > now then
  return { now, 'RESEND_ALLOWED' }
end
if not own then
  record.owner, record.epoch = owner, text(tonumber(record.epoch) + 1)
end
record.ambiguous, record.lease_end = '1', text(now + lease_ms)
save(record, false)
return { now, 'BEGUN', flat(record) }
