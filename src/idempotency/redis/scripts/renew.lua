-- No arguments of its own.
local record = load(KEYS[1])
local lease_end = record and tonumber(record.lease_end) or 0
if lease_end == 0 or too_new(record) or not unresolved(record) or not held(record) then
  return { now, 'LOST' }
end
record.lease_end = text(now + lease_ms)
if record.expires then
  record.expires = text(tonumber(record.expires) + math.max(0, now + lease_ms - lease_end))
end
due(record, now + lease_ms)
save(record, false)
return { now, 'RENEWED' }
