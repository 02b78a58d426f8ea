-- ARGV[11]: for how long (ms). Puts off the look-up of what cannot be read, so that others are met.
redis.call('ZADD', KEYS[4], 'XX', text(now + tonumber(ARGV[11])), digest)
return { now, 'YES' }
