-- No arguments of its own. That no record stands beside the canary was looked up before.
if redis.call('HGET', KEYS[3], 'used') or redis.call('ZCARD', KEYS[5]) > 0
  or redis.call('ZCARD', KEYS[4]) > 0 or redis.call('ZCARD', KEYS[6]) > 0 then
  return { now, 'HAS_RECORDS' }
end
redis.call('HSET', KEYS[3], 'generation', generation(), 'look_up_first_until', text(now))
redis.call('HDEL', KEYS[3], 'lost_at')
return { now, 'DECLARED' }
