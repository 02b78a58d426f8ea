-- KEYS[2] is the reference entry where the record is sought by its reference (no digest given).
local key = KEYS[1]
if digest == '' then
  digest = redis.call('GET', KEYS[2])
  if not digest then return { now, 'ABSENT' } end
  key = prefix .. 'r:' .. digest
end
local record = load(key)
if not record then return { now, 'ABSENT' } end
return { now, 'RECORD', digest, flat(record) }
