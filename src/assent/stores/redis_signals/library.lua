-- What brokers do in Redis, each function as one step. NAME stands for the name of this library: its own digest.
--
-- KEYS[1] of the counters is one hash, so that whatever loses a part of it loses the whole: `epoch`, the `life` of the
-- server that it began in, `now`, the `cursor` of the cleaning, and a field for each counter, named `#…`:
--     STEP PLACE:AMOUNT PLACE:AMOUNT …        oldest first; a place is a slice of STEP microseconds
-- A function answers nil when the epoch is not there, or is another. What cannot be read ends it.

local SLICES = 20
local DAY_MS = 86400000
local BACK_US = 5000000
local MANY = 256
local MOST = 200000

-- This process of the server, not its data: what was kept over a restart or by a replica is older than it says.
local this_life
local function life()
    if not this_life then
        this_life = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
    end
    return this_life
end

local function clock()
    local time = redis.call('TIME')
    return time[1] * 1000000 + time[2]
end

local function place_of(at, step)
    return math.floor(at / step)
end

local function step_of(window)
    return math.ceil(window / SLICES)
end

-- Returns its step and its places, or nothing for what is none of ours.
local function read(text)
    local step, rest = string.match(text, '^(%d+)([ :%d]*)$')
    if not step then return nil end
    local counter = {step = tonumber(step)}
    for place, amount in string.gmatch(rest, ' (%d+):(%d+)') do
        counter[#counter + 1] = {tonumber(place), tonumber(amount)}
    end
    return counter
end

local function written(counter)
    local parts = {string.format('%.0f', counter.step)}
    for _, slice in ipairs(counter) do
        parts[#parts + 1] = string.format('%.0f:%.0f', slice[1], slice[2])
    end
    return table.concat(parts, ' ')
end

-- Lets go what the window does not cover at `now`, adds, and returns the sum.
local function add(counter, amount, at, now)
    local since, sum = place_of(now, counter.step) - SLICES, 0
    while counter[1] and counter[1][1] < since do table.remove(counter, 1) end
    local place, last = place_of(at, counter.step), counter[#counter]
    if amount > 0 and place >= since then
        if last and last[1] >= place then
            last[2] = last[2] + amount
        else
            counter[#counter + 1] = {place, amount}
        end
    end
    for _, slice in ipairs(counter) do sum = sum + slice[2] end
    return sum
end

local function is_over(counter, now)
    local last = counter[#counter]
    return not last or last[1] < place_of(now, counter.step) - SLICES
end

-- Returns the moment, which never goes back, or nil when this is no epoch of this life of the server.
local function moment(key, epoch)
    local found = redis.pcall('HMGET', key, 'epoch', 'life', 'now')
    if found.err or not found[1] or not tonumber(found[3]) then return nil end
    if (epoch and found[1] ~= epoch) or found[2] ~= life() then return nil end
    local now, last = clock(), tonumber(found[3])
    if now < last - BACK_US then return nil end
    return math.max(now, last), found[1]
end

local function stay(key, now)
    redis.call('HSET', key, 'now', string.format('%.0f', now))
    redis.call('PEXPIRE', key, DAY_MS)
end

-- Of some fields those that count nothing any more go; where there are too many, the one of them that is longest silent.
local function clean(key, now)
    local size = redis.call('HLEN', key)
    if size < MANY then return end
    local scanned = redis.call('HSCAN', key, redis.call('HGET', key, 'cursor') or '0', 'MATCH', '#*', 'COUNT', 16)
    local oldest, last = nil, nil
    for i = 1, #scanned[2], 2 do
        local counter = read(scanned[2][i + 1])
        if not counter or is_over(counter, now) then
            redis.call('HDEL', key, scanned[2][i])
        else
            local at = counter[#counter][1] * counter.step
            if not last or at < last then oldest, last = scanned[2][i], at end
        end
    end
    if size > MOST and oldest then redis.call('HDEL', key, oldest) end
    redis.call('HSET', key, 'cursor', scanned[1])
end

-- KEYS: the counters. ARGV: the epoch, then counter, window, amount for each. Returns the sums in their order.
local function count(keys, args)
    local key, now = keys[1], moment(keys[1], args[1])
    if not now then return false end
    local sums = {}
    for i = 2, #args, 3 do
        local window, amount = tonumber(args[i + 1]), tonumber(args[i + 2])
        local text = redis.call('HGET', key, args[i])
        local counter = text and read(text) or {step = step_of(window)}
        if text and not read(text) then
            redis.call('DEL', key)
            return false
        end
        sums[#sums + 1] = add(counter, amount, now, now)
        if amount > 0 then redis.call('HSET', key, args[i], written(counter)) end
    end
    stay(key, now)
    clean(key, now)
    return sums
end

-- KEYS: the counters. ARGV: the epoch, then counters, which begin anew.
local function forget(keys, args)
    if not moment(keys[1], args[1]) then return false end
    for i = 2, #args do redis.call('HDEL', keys[1], args[i]) end
    return true
end

-- KEYS: the counters. ARGV: an epoch to begin, then counter, window, amount, microseconds ago for each, oldest first.
-- Returns the epoch: that of the others where one is there.
local function begin(keys, args)
    local key, now, epoch = keys[1], moment(keys[1])
    if now then
        stay(key, now)
        return epoch
    end
    now = clock()
    redis.call('DEL', key)
    local counters = {}
    for i = 2, #args, 4 do
        local counter = counters[args[i]] or {step = step_of(tonumber(args[i + 1]))}
        counters[args[i]] = counter
        add(counter, tonumber(args[i + 2]), now - tonumber(args[i + 3]), now)
    end
    redis.call('HSET', key, 'epoch', args[1], 'life', life())
    for name, counter in pairs(counters) do
        if #counter > 0 then redis.call('HSET', key, name, written(counter)) end
    end
    stay(key, now)
    return args[1]
end

-- KEYS: one for each bucket. ARGV: tokens taken, per second, burst for each. What was taken was taken: the rest may be
-- less than nothing. Returns for each in how many microseconds there will be a token; 0 when there is one.
local function took(keys, args)
    local now, waits = clock(), {}
    for i, key in ipairs(keys) do
        local amount, rate, burst = tonumber(args[3 * i - 2]), tonumber(args[3 * i - 1]), tonumber(args[3 * i])
        local found = redis.pcall('HMGET', key, 'tokens', 'at')
        if found.err then redis.call('DEL', key) end
        local tokens, at = tonumber(found[1] or nil) or burst, tonumber(found[2] or nil) or now
        tokens = math.min(burst, tokens + math.max(0, now - at) * rate / 1000000)
        tokens = math.max(tokens - amount, -burst)
        redis.call('HSET', key, 'tokens', string.format('%.6f', tokens), 'at', string.format('%.0f', now))
        redis.call('PEXPIRE', key, math.ceil((burst - tokens) / rate * 1000) + 1000)
        waits[i] = tokens >= 1 and 0 or math.ceil((1 - tokens) / rate * 1000000)
    end
    return waits
end

redis.register_function('NAME_count', count)
redis.register_function('NAME_forget', forget)
redis.register_function('NAME_begin', begin)
redis.register_function('NAME_took', took)
