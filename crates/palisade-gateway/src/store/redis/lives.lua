-- Whether a gateway has beaten lately: KEYS[1] all gateways; ARGV who, for how many ms a beat counts.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
if at and now - at < tonumber(ARGV[2]) then return 1 end
return 0
