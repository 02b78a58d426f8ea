-- No arguments of its own.
-- The store may have lost, since the owner claimed, what says that the record is another's by now.
-- Records that are claimed while look-ups come first are ambiguous.
local function lost_since(record)
  local stored = redis.call('HMGET', KEYS[3], 'generation', 'look_up_first_until')
  if stored[1] ~= generation() then return true end
  return record.ambiguous ~= '1' and tonumber(stored[2] or '0') > now
end

local record = load(KEYS[1])
local lease_end = record and tonumber(record.lease_end) or 0
if lease_end == 0 or too_new(record) or not unresolved(record) or not held(record) then
  return { now, 'LOST' }
end
if lost_since(record) then return { now, 'LOST' } end
record.lease_end = text(now + lease_ms)
if record.expires then
  record.expires = text(tonumber(record.expires) + math.max(0, now + lease_ms - lease_end))
end
due(record, now + lease_ms)
save(record, false)
return { now, 'RENEWED' }
