-- A gateway lives: KEYS[1] all gateways by the time of their last beat; ARGV who, for how many ms it counts.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local knew = redis.call('EXISTS', KEYS[1])
-- First, for after another write Redis would take it though it is full; and a beat says that writes are taken.
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 60)
return {now, redis.call('ZCARD', KEYS[1]), knew}
