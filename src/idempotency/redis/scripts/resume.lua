-- KEYS[1] is the table of stops. ARGV[11]: the name of one, or nothing for all.
if ARGV[11] ~= '' then return { now, 'RESUMED', redis.call('HDEL', KEYS[1], ARGV[11]) } end
local count = redis.call('HLEN', KEYS[1])
redis.call('DEL', KEYS[1])
return { now, 'RESUMED', count }
