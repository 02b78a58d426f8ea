-- No arguments of its own.
local count = redis.call('ZCARD', KEYS[5])
local oldest = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
local open = redis.call('ZCARD', KEYS[4]) - count
local lost_at = redis.call('HGET', KEYS[3], 'lost_at') or ''
return { now, 'STATS', count, oldest[2] or '', math.max(0, open), redis.call('ZCARD', KEYS[6]), lost_at }
