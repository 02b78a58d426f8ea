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

-- A record that nobody can look up is forgotten some time after its last lease.
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

-- The reference points here, unless it points at another record; it lives as long as this one.
local function keep_reference(record, index, changed)
  local key = reference_key(record)
  if not key or not (index or changed) then return end
  local entry = redis.call('GET', key)
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
  if #set > 0 then redis.call('HSET', KEYS[1], unpack(set)) end
  if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
  local changed = record.expires ~= old.expires
  if changed then expire(KEYS[1], record.expires) end
  keep_reference(record, index, changed)
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

-- Each line of a record's reservations: counter, window, kind (n: one, a: an amount), and how much.
local function reservations(lines)
  return string.gmatch(lines or '', '(%x+) (%d+) (%a) (%d+)')
end

local function remains(kind, taken, amount)
  return kind == 'a' and math.min(amount, tonumber(taken)) or tonumber(taken)
end

-- Gives back what a record holds, each to its own window: all of it, or of each amount what is
-- beyond `amount`. After the record is written: where memory is short, nothing goes back and the
-- limit stays fuller.
local function give_back(held, lines, amount)
  if not held then return end
  for counter, window, kind, taken in reservations(lines) do
    local key = prefix .. 'l:' .. counter
    local stored = redis.call('HMGET', key, 'window', 'sum')
    local back = tonumber(taken) - (amount and remains(kind, taken, amount) or 0)
    back = math.min(back, tonumber(stored[2] or '0'))
    if stored[1] == window and back > 0 then redis.pcall('HINCRBY', key, 'sum', text(-back)) end
  end
end

-- The record as it is where its payment has an outcome of this class, which came to `amount` (a
-- text, or nothing); gives a function that, after the record is written, gives back the rest.
local function ends(record, class, amount)
  local held, lines = record.held, record.reservations
  if class == 'FAILED' or class == 'NOT_HAPPENED' then
    record.held = nil
    return function() give_back(held, lines) end
  end
  if class ~= 'SUCCEEDED' or amount == '' or not lines then return function() end end
  local kept = {}
  for counter, window, kind, taken in reservations(lines) do
    local left = text(remains(kind, taken, tonumber(amount)))
    kept[#kept + 1] = counter .. ' ' .. window .. ' ' .. kind .. ' ' .. left
  end
  record.reservations = table.concat(kept, '\n')
  return function() give_back(held, lines, tonumber(amount)) end
end
