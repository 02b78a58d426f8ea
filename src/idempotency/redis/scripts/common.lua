-- Beside each script: what they share. They say in Lua what ../../machine says in Rust; a test
-- compares the two transition by transition.
--
-- KEYS: record, reference entry (or the record again), canary, due, unresolved, conflicts.
-- ARGV: prefix, digest, newest format read, format written, owner, epoch, lease, retention, open
-- retention, look-up-first period (all ms). What follows is the script's own.
local prefix, digest = ARGV[1], ARGV[2]
local owner, epoch = ARGV[5], tonumber(ARGV[6])
local lease_ms, retention_ms = tonumber(ARGV[7]), tonumber(ARGV[8])
local open_retention_ms, look_up_first_ms = tonumber(ARGV[9]), tonumber(ARGV[10])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

-- Whole numbers as text, however large: Lua would write 1e+15.
local function text(number)
  return string.format('%.0f', number)
end

-- A record as a table. `old` remembers what is stored, so that only changes are written.
local function load(key)
  local flat = redis.call('HGETALL', key)
  if #flat == 0 then return nil end
  local record, old = {}, {}
  for i = 1, #flat, 2 do
    record[flat[i]], old[flat[i]] = flat[i + 1], flat[i + 1]
  end
  if record.expires and tonumber(record.expires) <= now then
    redis.call('DEL', key)
    return nil
  end
  record[1] = old
  return record
end

local function too_new(record)
  return tonumber(record.v) > tonumber(ARGV[3])
end

local function unresolved(record)
  return record.state == 'SENT' or record.state == 'UNKNOWN'
end

local function held(record)
  return record.owner == owner and tonumber(record.epoch) == epoch
end

-- A record whose owner is gone: an attempt may have arrived.
local function abandon(record)
  if record.state == 'SENT' and tonumber(record.lease_end) <= now then
    record.state, record.ambiguous = 'UNKNOWN', '1'
  end
end

local function flat(record)
  local list = {}
  for field, value in pairs(record) do
    if field ~= 1 then
      list[#list + 1] = field
      list[#list + 1] = value
    end
  end
  return list
end

local function reference_key(record)
  if not record.reference then return nil end
  local space = record.operation == 'refund' and 'refund' or 'charge'
  return prefix .. 'ref:' .. space .. ':' .. record.reference
end

-- What is written after the record itself: a store out of memory refuses the record's write, and
-- nothing else may have been done by then.
local due_at, woken

-- The due time, unless the record cannot be looked up.
local function due(record, at)
  if record.reference then due_at = text(at) end
end

local function never_due()
  due_at = 'NEVER'
end

-- A record that nobody can look up is forgotten some time after its last lease, or conflict.
local function unresolved_expiry(record, from)
  if record.reference then return nil end
  return text(from + retention_ms)
end

local function expire(key, at)
  if at then
    redis.call('PEXPIREAT', key, at)
  else
    redis.call('PERSIST', key)
  end
end

-- The reference's key and what it points at, where the save may have to write it. Read before anything
-- is written: not every step declares the key, and where the slot moves it may be gone already.
local function reference_entry(record, index, changed)
  local key = reference_key(record)
  if not key or not (index or changed) then return nil end
  return key, redis.call('GET', key)
end

-- The reference points here, unless it points at another record; it lives as long as this one.
local function keep_reference(record, key, entry, index, changed)
  if not key then return end
  if not entry and index then
    redis.call('SET', key, digest)
    entry, changed = digest, record.expires ~= nil
  end
  if entry == digest and changed then expire(key, record.expires) end
end

local function keep_indices(record, before)
  if record.state == before then return end
  if unresolved(record) and record.reference then
    redis.call('ZADD', KEYS[5], record.first_sent, digest)
  elseif record.reference then
    redis.call('ZREM', KEYS[5], digest)
  end
  if record.state == 'CONFLICT' then
    redis.call('ZADD', KEYS[6], record.first_sent, digest)
  elseif before == 'CONFLICT' then
    redis.call('ZREM', KEYS[6], digest)
  end
end

-- Writes what has changed.
local function save(record, index)
  local old, set, gone = record[1] or {}, {}, {}
  for field, value in pairs(record) do
    if field ~= 1 and old[field] ~= value then
      set[#set + 1] = field
      set[#set + 1] = value
    end
  end
  for field in pairs(old) do
    if record[field] == nil then gone[#gone + 1] = field end
  end
  local changed = record.expires ~= old.expires
  local key, entry = reference_entry(record, index, changed)
  if #set > 0 then redis.call('HSET', KEYS[1], unpack(set)) end
  if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
  if changed then expire(KEYS[1], record.expires) end
  keep_reference(record, key, entry, index, changed)
  keep_indices(record, old.state)
  if due_at == 'NEVER' then
    redis.call('ZREM', KEYS[4], digest)
  elseif due_at then
    redis.call('ZADD', KEYS[4], due_at, digest)
  end
  if woken then redis.call('PUBLISH', prefix .. 'ends', digest) end
end

-- Wakes, with the next save, those who were told that the record is busy.
local function wake(record)
  woken = record.waiter ~= nil
  record.waiter = nil
end

-- Names this life of the store: the server takes another at each start and each promotion. A
-- replica's silence proves nothing, so it is not asked, not even where nothing is written.
local function generation()
  local info = redis.call('INFO', 'replication')
  if not string.find(info, 'role:master', 1, true) then
    error({ err = 'READONLY the store is a replica' })
  end
  return string.match(info, 'master_replid:(%w+)')
end

-- The canary as it has to be now: a missing one, or one of another life, starts the time in which
-- look-ups come first.
local function canary()
  local fields = { 'generation', 'look_up_first_until', 'used', 'lost_at' }
  local stored = redis.call('HMGET', KEYS[3], unpack(fields))
  local life = generation()
  local look_until, used, lost_at = tonumber(stored[2] or '0'), stored[3], stored[4]
  if stored[1] ~= life then
    look_until = math.max(look_until, now + look_up_first_ms)
    lost_at = text(now)
    redis.call('HSET', KEYS[3], 'generation', life, 'look_up_first_until', text(look_until),
      'lost_at', lost_at)
  end
  return look_until > now, used, lost_at and tonumber(lost_at)
end

-- The most that a counter counts to, 2^53 - 1.
local MOST = 9007199254740991

-- Each line of a record's reservations: counter, window, kind (n: one, a: an amount, r: the rest),
-- and how much.
local function reservations(lines)
  return string.gmatch(lines or '', '(%x+) (%d+) (%a) (%d+)')
end

-- What a payment that came to `amount` counts as. While it is open no less than was taken.
local function remains(kind, taken, class, amount)
  if kind == 'n' or not amount then return taken end
  if kind == 'r' then return class == 'OPEN' and math.max(taken, amount) or math.min(amount, MOST) end
  return class == 'OPEN' and taken or math.min(taken, amount)
end

-- Lets each of a record's reservations count as what `counts` makes of its kind and amount, in its
-- own window. A counter that is gone stays so: its window is over, or it is lost. Gives a function
-- for after the record is written: where memory is short, nothing is counted.
local function shift(record, counts)
  local held, writes = record.held, {}
  for counter, window, kind, taken in reservations(record.reservations) do
    local key = prefix .. 'l:' .. counter
    local stored = redis.call('HMGET', key, 'window', 'sum')
    taken = tonumber(taken)
    local more = counts(kind, taken) - (held and taken or 0)
    if stored[1] == window and more ~= 0 then
      local sum = math.max(0, math.min(MOST, tonumber(stored[2]) + more))
      writes[#writes + 1] = { key, text(sum) }
    end
  end
  return function()
    for _, write in ipairs(writes) do redis.pcall('HSET', write[1], 'sum', write[2]) end
  end
end

-- Nothing counts any more.
local function give_back(record)
  local write = shift(record, function() return 0 end)
  record.held = nil
  return write
end

-- All counts, also what was given back, as `counts` says.
local function hold(record, counts)
  if not record.reservations then return function() end end
  local write, lines = shift(record, counts), {}
  for counter, window, kind, taken in reservations(record.reservations) do
    lines[#lines + 1] = counter .. ' ' .. window .. ' ' .. kind .. ' '
      .. text(counts(kind, tonumber(taken)))
  end
  record.reservations, record.held = table.concat(lines, '\n'), '1'
  return write
end

-- It may have moved money after all.
local function keep(record)
  return hold(record, function(_, taken) return taken end)
end

-- The record as it is where its payment has an outcome of this class, which came to `amount` (a
-- text, or nothing). A failure gives all back; whatever else becomes of a payment counts, also
-- after a failure has given it back: money that moved is never refused.
local function ends(record, class, amount)
  if class == 'FAILED' or class == 'NOT_HAPPENED' then return give_back(record) end
  return hold(record, function(kind, taken) return remains(kind, taken, class, tonumber(amount)) end)
end
