-- ARGV from 11: DUE, ALL or CONFLICTS; offset; limit.
local kind, offset, limit = ARGV[11], ARGV[12], ARGV[13]
local index = kind == 'CONFLICTS' and KEYS[6] or KEYS[4]
local upto = kind == 'DUE' and text(now) or '+inf'
local page = redis.call('ZRANGEBYSCORE', index, '-inf', upto, 'LIMIT', offset, limit)
local list = { now, 'PAGE' }
for _, name in ipairs(page) do
  -- What is no record at all must not hide the others: it is listed as one without fields.
  local is_read, record = pcall(load, prefix .. 'r:' .. name)
  if not is_read or record then
    list[#list + 1] = name
    list[#list + 1] = is_read and flat(record) or {}
  else
    -- Forgotten in its time; its place in the indices goes when it is met.
    redis.call('ZREM', KEYS[4], name)
    redis.call('ZREM', KEYS[5], name)
    redis.call('ZREM', KEYS[6], name)
  end
end
return list
