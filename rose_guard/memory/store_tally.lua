-- Stores a tally if it is still what was read, and makes room for it. Knows nothing of turns: see tally.py.
-- KEYS: the conversation; of all, by expiry; those where no escalation was due, by their newest turn; those where one
-- was, by its end; the format. Answers 1 (stored), 0 (changed meanwhile), -1 (full), -2 (another format).
local conversation, by_expiry, calm, alarmed, format = unpack(KEYS)
local before, after, subject, newest, expires, live_until, now, room, life_ms, prefix, own_format = unpack(ARGV)

local function file(other, newest_turn, ends)
  redis.call('ZREM', calm, other)
  redis.call('ZREM', alarmed, other)
  if ends == '-inf' or tonumber(ends) <= tonumber(now) then
    redis.call('ZADD', calm, newest_turn, other)
  else
    redis.call('ZADD', alarmed, ends, other)
  end
end

local function file_again(other)
  local turn = redis.call('HMGET', prefix .. other, 'newest', 'live_until')
  file(other, turn[1] or '-inf', turn[2] or '-inf')
end

local function dispensable()
  local expired = redis.call('ZRANGEBYSCORE', by_expiry, '-inf', now, 'LIMIT', 0, 1)[1]
  if expired then return expired end
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', alarmed, '-inf', now)) do
    file_again(other)
  end
  while true do
    local idle = redis.call('ZRANGE', calm, 0, 0)[1]
    if not idle then return nil end
    file_again(idle) -- it moves where a clock that was ahead had taken its escalation for over
    if redis.call('ZSCORE', calm, idle) then return idle end
  end
end

local function drop(other)
  redis.call('DEL', prefix .. other)
  for _, order in ipairs({by_expiry, calm, alarmed}) do
    redis.call('ZREM', order, other)
  end
end

local function outlive(life)
  local longest = math.max(redis.call('PTTL', by_expiry), life)
  for _, shared in ipairs({by_expiry, calm, alarmed, format}) do
    redis.call('PEXPIRE', shared, string.format('%.0f', longest))
  end
end

local found = redis.call('GET', format)
if found and found ~= own_format then return -2 end
if (redis.call('HGET', conversation, 'tally') or '') ~= before then return 0 end

if not redis.call('ZSCORE', by_expiry, subject) then
  while redis.call('ZCARD', by_expiry) >= tonumber(room) do
    local other = dispensable()
    if not other then
      outlive(0)
      return -1
    end
    drop(other)
  end
end

redis.call('HSET', conversation, 'tally', after, 'newest', newest, 'live_until', live_until)
if redis.call('PTTL', conversation) < tonumber(life_ms) then redis.call('PEXPIRE', conversation, life_ms) end
redis.call('ZADD', by_expiry, expires, subject)
file(subject, newest, live_until)
redis.call('SET', format, own_format)
outlive(tonumber(life_ms))
return 1
