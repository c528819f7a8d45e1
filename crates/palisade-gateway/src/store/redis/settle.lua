-- Says what became of a deed, if it is still its owner's to say. KEYS as in claim.lua. ARGV: content, owner, name of the
-- claim, for how many ms it is kept, stage, code of the error, answer, and what all answers of a caller may weigh.
local at = redis.call('HMGET', KEYS[1], 'owner', 'stage')
if at[1] and (at[1] ~= ARGV[2] or at[2] ~= 'open') then return 0 end
if ARGV[5] == 'undone' then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[3])
  return 1
end
local stage, answer = ARGV[5], ARGV[7]
local all = tonumber(redis.call('HGET', KEYS[3], 'all') or 0)
if all + #answer > tonumber(ARGV[8]) then stage, answer = 'unkept', '' end
redis.call('HSET', KEYS[1], 'content', ARGV[1], 'owner', ARGV[2], 'stage', stage, 'error', ARGV[6], 'answer', answer)
-- What was lost meanwhile is written down again.
if not at[1] then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
  redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[4] + 60000)
end
if #answer > 0 then
  redis.call('HSET', KEYS[3], ARGV[3], #answer)
  redis.call('HINCRBY', KEYS[3], 'all', #answer)
end
redis.call('PEXPIRE', KEYS[3], ARGV[4] + 60000)
return 1
