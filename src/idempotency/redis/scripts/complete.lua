-- The owner and epoch are the owner's, or those of the record as the observer read it.
-- ARGV[15]: what the payment came to, where that may differ from what was taken.
-- ARGV from 18: an owner's (1) or an observer's (0); contradiction (1) or outcome (0); payload,
-- provider id, class, phase; next check after (ms); number of attempts; attempts; fingerprints.
local owned, contradiction = ARGV[18] == '1', ARGV[19] == '1'
local new = { outcome = ARGV[20], provider_id = given(ARGV[21]), class = ARGV[22], phase = ARGV[23] }
local next_check = now + tonumber(ARGV[24])
local count = tonumber(ARGV[25])
local first = 26 + 2 * count

local function finish(record, status)
  save(record, owned)
  return { now, status, flat(record) }
end

-- It counts, whatever a failure has given back before: money may have moved. Only that of a
-- Tokenize, which moved none, is forgotten.
local function conflict(record, contrary)
  record.state, record.lease_end = 'CONFLICT', '0'
  record.expires = unresolved_expiry(record, now)
  if contrary and not record.contrary_class then
    record.contrary, record.contrary_provider_id = new.outcome, new.provider_id
    record.contrary_class, record.contrary_phase = new.class, new.phase
  end
  never_due()
  wake(record)
  local count_it = keep(record)
  save(record, owned)
  count_it()
  return { now, 'CONFLICT', flat(record) }
end

-- What an observer saw may be another payment under the same reference, from before this one was
-- sent: it does not end what somebody works on, nor what somebody has worked on since.
local function counts(record)
  if owned then return true end
  return held(record) and not (unresolved(record) and tonumber(record.lease_end) > now)
end

local function same_payment(record)
  if not owned then return true end
  return compare(record, first) ~= 'DIFFERENT' and record.reference == given(ARGV[13])
end

-- A decline without an object, where another attempt may have arrived.
local function proves_nothing(record)
  if new.class ~= 'FAILED' or new.provider_id or not unresolved(record) then return false end
  local look_ups_first = canary()
  return not owned or not held(record) or record.ambiguous == '1' or look_ups_first
end

local function not_proof(record)
  if owned and held(record) then
    record.state, record.ambiguous, record.lease_end = 'UNKNOWN', '1', '0'
    record.expires = unresolved_expiry(record, now)
    due(record, next_check)
    wake(record)
  end
  return finish(record, 'NOT_PROOF')
end

local merges = {
  ['OPEN OPEN'] = 'FORWARD', ['SUCCEEDED SUCCEEDED'] = 'FORWARD',
  ['OPEN SUCCEEDED'] = 'REPLACE', ['OPEN FAILED'] = 'REPLACE', ['OPEN NOT_HAPPENED'] = 'REPLACE',
  ['SUCCEEDED FAILED'] = 'CONTRADICTION', ['SUCCEEDED NOT_HAPPENED'] = 'CONTRADICTION',
  ['FAILED SUCCEEDED'] = 'CONTRADICTION', ['NOT_HAPPENED OPEN'] = 'CONTRADICTION',
  ['NOT_HAPPENED SUCCEEDED'] = 'CONTRADICTION',
}

-- What becomes of the stored outcome; anything not listed stays.
local function merge(record)
  local stored_id = record.provider_id
  if stored_id and new.provider_id and stored_id ~= new.provider_id then return 'CONTRADICTION' end
  local nameless = stored_id and not new.provider_id
  local paid = record.class == 'OPEN' or record.class == 'SUCCEEDED'
  if nameless and paid and new.class == 'FAILED' then return 'KEEP' end
  local way = merges[record.class .. ' ' .. new.class] or 'KEEP'
  if way ~= 'FORWARD' then return way end
  return tonumber(new.phase) > tonumber(record.phase) and 'REPLACE' or 'KEEP'
end

local function store(record)
  local before = record.class or ''
  record.state, record.lease_end = 'DONE', '0'
  record.outcome, record.provider_id = new.outcome, new.provider_id
  record.class, record.phase = new.class, new.phase
  if new.class == 'OPEN' then
    record.expires = text(now + open_retention_ms)
    due(record, next_check)
  else
    record.expires = text(now + retention_ms)
    never_due()
  end
  -- A failed payment gives back all that it took, once; another counts as what it came to.
  local count_it = ends(record, new.class, ARGV[15])
  wake(record)
  save(record, owned)
  count_it()
  return { now, 'STORED', record.posts, before }
end

local record = load(KEYS[1])
if not record then
  if not owned then return { now, 'ABSENT' } end
  record = again(first)
end
if too_new(record) then return { now, 'NEW', record.v } end
if not counts(record) then return { now, 'ABSENT' } end
if not owned then abandon(record) end
log(record, count, 26)
if contradiction or not same_payment(record) then return conflict(record, true) end
if record.state == 'CONFLICT' then return conflict(record, false) end
if proves_nothing(record) then return not_proof(record) end
if not record.class then return store(record) end
local way = merge(record)
if way == 'REPLACE' then return store(record) end
if way == 'KEEP' then return finish(record, 'KEPT') end
return conflict(record, true)
