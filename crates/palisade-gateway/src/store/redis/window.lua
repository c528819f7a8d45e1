-- One caller's last 60 seconds, as palisade-guard's limit/window.rs counts them: a ring of clusters, each with the time of
-- its last call and how many it has. KEYS[1] the window; ARGV the limit.
-- It is kept as {when the newest cluster began, last, calls, last, calls, ...}, oldest first.
local SPAN, RING, WIDTH = 60000, 23, 2728
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit = tonumber(ARGV[1])
local kept = redis.call('GET', KEYS[1])
local window = kept and cmsgpack.unpack(kept) or {0}
local n = #window

-- A clock that was set back: all calls move with it, so that none is forgotten early and nobody waits for ever.
local back = n > 1 and window[n - 1] - now or 0
if back > 0 then
  window[1] = window[1] - back
  for at = 2, n, 2 do window[at] = window[at] - back end
end

local first, total = 2, 0
while first < n and now - window[first] >= SPAN do first = first + 2 end
for at = first + 1, n, 2 do total = total + window[at] end

local admitted = total < limit
if admitted then
  local used = (n - first + 1) / 2
  local width = limit > RING and WIDTH or 0
  if used > 0 and (window[n - 1] == now or now - window[1] < width or used == RING) then
    window[n - 1], window[n] = now, window[n] + 1
  else
    window[1], window[n + 1], window[n + 2] = now, now, 1
    n = n + 2
  end
  total = total + 1
end
if admitted or back > 0 then
  local left = {window[1]}
  for at = first, n do left[#left + 1] = window[at] end
  redis.call('SET', KEYS[1], cmsgpack.pack(left), 'PX', SPAN)
end

local retry, left = SPAN, total
for at = first, n - 1, 2 do
  left = left - window[at + 1]
  if left < limit then
    retry = SPAN - (now - window[at])
    break
  end
end
local reset = first < n and SPAN - (now - window[n - 1]) or 0
return {admitted and 1 or 0, math.max(0, limit - total), retry, reset}
