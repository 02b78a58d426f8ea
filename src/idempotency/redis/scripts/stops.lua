-- KEYS[1] is the table of stops. Those whose time is over are left out.
local stops, list = redis.call('HGETALL', KEYS[1]), { now, 'STOPS' }
for i = 1, #stops, 2 do
  local ends = string.match(stops[i + 1], '^(%d+)')
  if not ends or tonumber(ends) > now then
    list[#list + 1] = stops[i]
    list[#list + 1] = stops[i + 1]
  end
end
return list
