-- One use of a nonce. KEYS[1] since when nonces of this part are known, KEYS[2] the nonce, where one is to be noted.
-- ARGV: the gateway's time, the latest time it let pass, for how many seconds a nonce is kept, how old a time may be; and
-- the time that was signed. All in seconds.
--
-- Who has the data is asked with every nonce: after a failover, a restart or a flush nobody knows what was used before, and
-- whatever was signed up to then is refused.
local info = redis.call('INFO', 'server', 'replication')
local who = string.match(info, 'run_id:(%w+)') .. string.match(info, 'master_replid:(%w+)')
local now = tonumber(redis.call('TIME')[1])
local known = redis.call('HMGET', KEYS[1], 'who', 'since')
local since = tonumber(known[2] or 0)
if known[1] ~= who then
  since = math.max(since, now, tonumber(ARGV[1]), tonumber(ARGV[2]))
  redis.call('HSET', KEYS[1], 'who', who, 'since', since)
end
if #KEYS < 2 then return 'known' end
local signed = tonumber(ARGV[5])
if signed <= since or signed <= now - ARGV[4] then return 'forgotten' end
if redis.call('SET', KEYS[2], '', 'NX', 'EX', ARGV[3]) then return 'first' end
return 'again'
