-- No arguments of its own.
-- A failover since the claim may have lost a takeover, with an attempt of its own.
local look_ups_first = canary()
local record = load(KEYS[1])
if not record then return { now, 'GONE' } end
if too_new(record) then return { now, 'NEW' } end
if not unresolved(record) then return { now, 'RESOLVED' } end
if not held(record) then return { now, 'FENCED' } end
if record.ambiguous == '1' or look_ups_first then return { now, 'AMBIGUOUS' } end
-- All that is read comes before the first write: what is no declared key may be gone already where the
-- slot moves to another node, and a record that is forgotten must give back what it took.
local key = reference_key(record)
local points_here = key and redis.call('GET', key) == digest
local count_it = give_back(record)
redis.call('DEL', KEYS[1])
if points_here then redis.call('DEL', key) end
count_it()
redis.call('ZREM', KEYS[4], digest)
redis.call('ZREM', KEYS[5], digest)
if record.waiter then redis.call('PUBLISH', prefix .. 'ends', digest) end
return { now, 'RELEASED' }
