-- ARGV from 11: payload, provider id, class, phase, settled by; what the payment came to, where that
-- may differ from what was taken.
local record = load(KEYS[1])
if not record then return { now, 'ABSENT' } end
if too_new(record) then return { now, 'NEW' } end
if record.state == 'DONE' then
  local again = held(record) and record.settled_by == ARGV[15]
  return { now, again and 'SETTLED' or 'RESOLVED' }
end
if not held(record) then return { now, 'FENCED' } end
if ARGV[13] == 'OPEN' then return { now, 'OUTCOME_OPEN' } end
record.state, record.lease_end, record.expires = 'DONE', '0', text(now + retention_ms)
record.outcome, record.class, record.phase = ARGV[11], ARGV[13], ARGV[14]
record.provider_id = ARGV[12] ~= '' and ARGV[12] or nil
record.settled_by = ARGV[15]
local count_it = ends(record, ARGV[13], ARGV[16])
never_due()
wake(record)
save(record, false)
count_it()
return { now, 'SETTLED' }
