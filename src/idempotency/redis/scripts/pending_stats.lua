-- No arguments of its own.
-- The conflict of a Tokenize is forgotten in its time: it is no operator's any more.
for _, name in ipairs(redis.call('ZRANGE', KEYS[6], 0, 99)) do
  if redis.call('EXISTS', prefix .. 'r:' .. name) == 0 then redis.call('ZREM', KEYS[6], name) end
end
local count = redis.call('ZCARD', KEYS[5])
local oldest = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
local open = redis.call('ZCARD', KEYS[4]) - count
local lost_at = redis.call('HGET', KEYS[3], 'lost_at') or ''
return { now, 'STATS', count, oldest[2] or '', math.max(0, open), redis.call('ZCARD', KEYS[6]), lost_at }
