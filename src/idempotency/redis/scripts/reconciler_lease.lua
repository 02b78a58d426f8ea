-- KEYS[1] is the lease.
local held_by = redis.call('HMGET', KEYS[1], 'owner', 'lease_end')
if held_by[1] and held_by[1] ~= owner and tonumber(held_by[2]) > now then
  return { now, 'NO' }
end
redis.call('HSET', KEYS[1], 'owner', owner, 'lease_end', text(now + lease_ms))
return { now, lease_ms > 0 and 'YES' or 'NO' }
