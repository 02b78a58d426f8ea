-- ARGV[15]: what is taken from counters, a line each: limit, counter, window's length (ms), kind
-- (n: one, a: an amount, r: the rest; a capital where it refuses nothing), amount, most. ARGV from 18:
-- refused; currency; counters that were lost are full. Fingerprints from ARGV[21].
local refused = ARGV[18] == '1'
local look_ups_first, used, lost_at = canary()

-- The stop that keeps this claim from sending; of several, the first by name.
local function stop()
  local stops, found, text_of = redis.call('HGETALL', KEYS[7]), nil, nil
  for i = 1, #stops, 2 do
    local ends, operation, caller, currency =
      string.match(stops[i + 1], '^(%d*)\n%d*\n([^\n]*)\n([^\n]*)\n([^\n]*)\n')
    if (ends == '' or tonumber(ends) > now) and (operation == '' or operation == ARGV[12])
      and (caller == '' or caller == ARGV[11]) and (currency == '' or currency == ARGV[19])
      and (not found or stops[i] < found) then
      found, text_of = stops[i], stops[i + 1]
    end
  end
  if found then return { found, text_of } end
end
local stopped = stop()
local look_up_only = refused or stopped

local function leased(record)
  record.lease_end = text(now + lease_ms)
  record.expires = unresolved_expiry(record, now + lease_ms)
  due(record, now + lease_ms)
  save(record, true)
end

local function recover(record)
  leased(record)
  return { now, 'RECOVER', look_up_only and 1 or 0, stopped and 1 or 0, flat(record) }
end

local function run(record, over)
  leased(record)
  return { now, 'RUN', record.epoch, record.ambiguous and 1 or 0, record.first_sent, over }
end

local function existing(record)
  if too_new(record) then return { now, 'NEW', record.v } end
  local same = compare(record, 21)
  if same == 'UNKNOWN' then return { now, 'KEY' } end
  if same == 'DIFFERENT' then return { now, 'REUSED', flat(record) } end
  if record.state == 'DONE' then return { now, 'REPLAY', flat(record) } end
  if record.state == 'CONFLICT' then return { now, 'CONFLICT', flat(record) } end
  local is_leased = tonumber(record.lease_end) > now
  if record.owner == owner and (is_leased or record.state == 'SENT') then
    if look_ups_first then record.ambiguous = '1' end
    if tonumber(record.epoch) > 1 or look_up_only then return recover(record) end
    return run(record, '')
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

-- What is taken: for the record, and for the counters, and the places of what had no room and refuses
-- nothing; or the limit that stays full for longest.
local function take()
  local lines, writes, over, counted, full, place = {}, {}, {}, {}, nil, -1
  for line in string.gmatch(ARGV[15], '[^\n]+') do
    local limit, counter, length, kind, amount, most =
      string.match(line, '^(%S+) (%x+) (%d+) (%a) (%d+) (%d+)$')
    local refuses = kind == string.lower(kind)
    kind, place = string.lower(kind), place + 1
    local key = prefix .. 'l:' .. counter
    length, amount = tonumber(length), tonumber(amount)
    local stored = redis.call('HMGET', key, 'window', 'sum')
    local window, sum = length == 0 and 0 or math.floor(now / length), 0
    -- A clock that has gone back leaves it in the later window, so that nothing is counted out.
    if stored[1] and tonumber(stored[1]) >= window then
      window, sum = tonumber(stored[1]), tonumber(stored[2])
    end
    local ends = length == 0 and now + 34560000000 or (window + 1) * length
    local left = math.max(0, tonumber(most) - sum)
    if ARGV[20] == '1' and length > 0 and lost_at and math.floor(lost_at / length) >= window then
      left = 0
    end
    if kind == 'r' then amount = math.max(1, left) end
    if amount > left and refuses then
      local resets = length > 0 and math.max(0, ends - now) or math.huge
      if not full or resets > full.resets then
        full = { resets = resets, limit = limit, left = left }
      end
    else
      if amount > left then over[#over + 1] = text(place) end
      -- A counter that comes twice, as with another most on trial, counts once.
      if not counted[counter] then
        counted[counter] = true
        lines[#lines + 1] = counter .. ' ' .. text(window) .. ' ' .. kind .. ' ' .. text(amount)
        local becomes = math.min(sum + amount, 9007199254740991)
        writes[#writes + 1] = { key, text(window), text(becomes), text(ends) }
      end
    end
  end
  return table.concat(lines, '\n'), writes, full, table.concat(over, ' ')
end

local record = load(KEYS[1])
if record then return existing(record) end
if refused then return { now, 'REFUSED', look_ups_first and 1 or 0 } end
if stopped then return { now, 'STOPPED', stopped[1], stopped[2], look_ups_first and 1 or 0 } end
local other = taken()
if other then return other end
local reservations, writes, full, over = take()
if full then
  local resets = full.resets < math.huge and text(full.resets) or ''
  return { now, 'FULL', full.limit, text(full.left), resets, look_ups_first and 1 or 0 }
end
record = birth(21)
record.state, record.epoch, record.first_sent = 'SENT', '1', text(now)
if look_ups_first then record.ambiguous, record.born_ambiguous = '1', '1' end
if reservations ~= '' then record.reservations, record.held = reservations, '1' end
if not used then redis.call('HSET', KEYS[3], 'used', '1') end
local answer = run(record, over)
for _, write in ipairs(writes) do
  redis.call('HSET', write[1], 'window', write[2], 'sum', write[3])
  expire(write[1], write[4])
end
return answer
