-- ARGV[18]: refused. Fingerprints from ARGV[19].
local refused = ARGV[18] == '1'
local look_ups_first, used = canary()

local function leased(record)
  record.lease_end = text(now + lease_ms)
  record.expires = unresolved_expiry(record, now + lease_ms)
  due(record, now + lease_ms)
  save(record, true)
end

local function recover(record)
  leased(record)
  return { now, 'RECOVER', refused and 1 or 0, flat(record) }
end

local function run(record)
  leased(record)
  return { now, 'RUN', record.epoch, record.ambiguous and 1 or 0, record.first_sent }
end

local function existing(record)
  if too_new(record) then return { now, 'NEW', record.v } end
  local same = compare(record, 19)
  if same == 'UNKNOWN' then return { now, 'KEY' } end
  if same == 'DIFFERENT' then return { now, 'REUSED', flat(record) } end
  if record.state == 'DONE' then return { now, 'REPLAY', flat(record) } end
  if record.state == 'CONFLICT' then return { now, 'CONFLICT', flat(record) } end
  local is_leased = tonumber(record.lease_end) > now
  if record.owner == owner and (is_leased or record.state == 'SENT') then
    if look_ups_first then record.ambiguous = '1' end
    if tonumber(record.epoch) > 1 or refused then return recover(record) end
    return run(record)
  end
  if is_leased then
    if not record.waiter then redis.call('HSET', KEYS[1], 'waiter', '1') end
    return { now, 'BUSY', tonumber(record.lease_end) - now }
  end
  record.state, record.owner, record.ambiguous = 'UNKNOWN', owner, '1'
  record.epoch = text(tonumber(record.epoch) + 1)
  return recover(record)
end

-- An entry that points at nothing counts as none. That is no guess while the slot moves to another
-- node: without a record one of the declared keys is missing, and then the server runs no script.
local function taken()
  if ARGV[13] == '' then return nil end
  local entry = redis.call('GET', KEYS[2])
  if not entry or entry == digest then return nil end
  local other = load(prefix .. 'r:' .. entry)
  if not other then
    redis.call('DEL', KEYS[2])
    return nil
  end
  local same_caller = other.caller == ARGV[11]
  local outcome = {}
  if same_caller and other.class then
    outcome = { other.outcome, other.provider_id or '', other.class, other.phase }
  end
  return { now, 'TAKEN', same_caller and 1 or 0, outcome, look_ups_first and 1 or 0 }
end

local record = load(KEYS[1])
if record then return existing(record) end
if refused then return { now, 'REFUSED', look_ups_first and 1 or 0 } end
local other = taken()
if other then return other end
-- The policy's limits are taken here, before anything is written; a full one refuses.
record = birth(19)
record.state, record.epoch, record.first_sent = 'SENT', '1', text(now)
if look_ups_first then record.ambiguous, record.born_ambiguous = '1', '1' end
if record.reservations then record.held = '1' end
if not used then redis.call('HSET', KEYS[3], 'used', '1') end
return run(record)
