-- General operations that may be refused: a list of commands as a whole, or none of them.
--
-- KEYS  every key that the commands write.
-- ARGV  for each command: number of its words, its words.
-- Answers {'done', answer...} or {'refused', number of the command, why}; what was changed before it is put back.
--
-- A number of Lua is a double, so the sum of HINCRBY is read back as text; ZINCRBY would take a sum out of its range for infinite.

local commands, at = {}, 1
while ARGV[at] do
  local count = tonumber(ARGV[at])
  local command = {}
  for i = 1, count do
    command[i] = ARGV[at + i]
  end
  commands[#commands + 1] = command
  at = at + count + 1
end

local saved = {}
if #commands > 1 then
  for i, key in ipairs(KEYS) do
    saved[i] = { redis.call('DUMP', key), redis.call('PTTL', key) }
  end
end

local function put_back()
  for i, one in ipairs(saved) do
    redis.call('DEL', KEYS[i])
    if one[1] then
      redis.call('RESTORE', KEYS[i], math.max(one[2], 0), one[1])
    end
  end
end

-- Words of a command that is made at once: Lua's stack has room for some 8,000. Of these commands the answers of parts add up, and a part
-- is a whole number of pairs.
local MOST = 4000
local ADDS_UP = { HSET = true, HDEL = true, SADD = true, SREM = true, ZADD = true, ZREM = true, DEL = true }

local function made(command)
  if #command <= MOST or not ADDS_UP[command[1]] then
    return redis.pcall(unpack(command))
  end
  local first = command[1] == 'DEL' and 2 or 3
  local sum = 0
  for from = first, #command, MOST do
    local part = { command[1], first == 3 and command[2] or nil }
    for at = from, math.min(from + MOST - 1, #command) do
      part[#part + 1] = command[at]
    end
    local answer = redis.pcall(unpack(part))
    if type(answer) == 'table' and answer.err then
      return answer
    end
    sum = sum + answer
  end
  return sum
end

local function done(command)
  if command[1] == 'ZINCRBY' then
    local score = redis.pcall('ZSCORE', command[2], command[4])
    if type(score) == 'table' and score.err then
      return score
    end
    local sum = tonumber(score or 0) + tonumber(command[3])
    if sum == math.huge or sum == -math.huge then
      return { err = 'ERR the sum would leave its range: overflow' }
    end
  end
  local answer = made(command)
  if command[1] == 'HINCRBY' and not (type(answer) == 'table' and answer.err) then
    return redis.call('HGET', command[2], command[3])
  end
  return answer
end

local answers = { 'done' }
for number, command in ipairs(commands) do
  local answer = done(command)
  if type(answer) == 'table' and answer.err then
    put_back()
    return { 'refused', number, answer.err }
  end
  answers[number + 1] = answer
end
return answers
