-- ARGV of the steps that may create a record: caller, operation, reference, command, one that is
-- the step's own, trace context, first sent (11 to 17).

-- The fingerprints stand at the end of ARGV, from `first` on: key id and code, the signing first.
local function compare(record, first)
  for i = first, #ARGV, 2 do
    if ARGV[i] == record.fp_key then
      return ARGV[i + 1] == record.fp and 'EQUAL' or 'DIFFERENT'
    end
  end
  return 'UNKNOWN'
end

local function given(value)
  if value ~= '' then return value end
  return nil
end

local function birth(first)
  return {
    v = ARGV[4], owner = owner, caller = ARGV[11], operation = ARGV[12],
    reference = given(ARGV[13]), command = given(ARGV[14]), trace = given(ARGV[16]),
    fp_key = ARGV[first], fp = ARGV[first + 1], posts = '0',
  }
end

-- A record that the store lost: ambiguous, as what was lost with it cannot be known.
local function again(first)
  local record = birth(first)
  record.state, record.epoch, record.lease_end = 'UNKNOWN', text(epoch), '0'
  record.first_sent, record.ambiguous, record.born_ambiguous = ARGV[17], '1', '1'
  return record
end

-- Logs `count` attempts from ARGV[from] on (line and post flag), each once; at most 32 stay.
local function log(record, count, from)
  local lines, known, posts = {}, {}, tonumber(record.posts)
  for line in string.gmatch(record.attempts or '', '[^\n]+') do
    lines[#lines + 1], known[line] = line, true
  end
  for i = from, from + 2 * count - 2, 2 do
    if not known[ARGV[i]] then
      lines[#lines + 1], known[ARGV[i]] = ARGV[i], true
      posts = posts + tonumber(ARGV[i + 1])
    end
  end
  if #lines > 0 then
    record.attempts = table.concat(lines, '\n', math.max(1, #lines - 31))
    record.posts = text(posts)
  end
end
