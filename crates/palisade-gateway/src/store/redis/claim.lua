-- Claims a deed, if nobody has. KEYS[1] the claim, KEYS[2] all claims of the caller by the time when each may be forgotten,
-- KEYS[3] what their answers weigh. ARGV: content, owner, name of the claim, for how many ms it is kept, claims a caller may
-- have, and until when (in ms) whoever asks waits.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- What was held up on its way is not done for somebody who has gone.
if now > tonumber(ARGV[6]) then return {'late'} end
local at = redis.call('HMGET', KEYS[1], 'content', 'owner', 'stage', 'error', 'answer')
if at[1] then return {'found', at[1], at[2], at[3], at[4] or '', at[5] or ''} end
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 100)) do
  local weight = redis.call('HGET', KEYS[3], gone)
  if weight then
    redis.call('HINCRBY', KEYS[3], 'all', -weight)
    redis.call('HDEL', KEYS[3], gone)
  end
  redis.call('ZREM', KEYS[2], gone)
end
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then return {'crowded'} end
redis.call('HSET', KEYS[1], 'content', ARGV[1], 'owner', ARGV[2], 'stage', 'open')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4] + 60000)
return {'made'}
