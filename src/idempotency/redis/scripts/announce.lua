-- KEYS[1] is the table of fingerprint keys. ARGV from 11: key id and check value, the signing
-- first.
local faults, known = { now, 'FAULTS' }, false
local signer = redis.call('HGET', KEYS[1], 'signer')
for i = 11, #ARGV, 2 do
  local check = redis.call('HGET', KEYS[1], ARGV[i])
  if check and check ~= ARGV[i + 1] then
    faults[#faults + 1] = 'DIFFERS'
    faults[#faults + 1] = ARGV[i]
  end
  known = known or ARGV[i] == signer
end
if signer and not known then
  faults[#faults + 1] = 'FOREIGN'
  faults[#faults + 1] = signer
end
if #faults == 2 and ARGV[11] then
  for i = 11, #ARGV, 2 do
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
  if signer ~= ARGV[11] then redis.call('HSET', KEYS[1], 'signer', ARGV[11]) end
end
return faults
