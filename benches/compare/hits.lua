-- Cycles through the URLs, each request written once before the run, so that wrk's own cost stays small and even.
-- Arguments: path prefix, number of URLs, then header names and values in turn.

local threads = 0

function setup(thread)
   thread:set("offset", threads * 499)
   threads = threads + 1
end

function init(arguments)
   urls = tonumber(arguments[2])
   for index = 3, #arguments, 2 do
      wrk.headers[arguments[index]] = arguments[index + 1]
   end
   requests = {}
   for number = 1, urls do
      requests[number] = wrk.format("GET", arguments[1] .. number)
   end
   turn = offset
end

-- No `response` function: with one, wrk would parse every header into Lua. It counts statuses itself.
function request()
   turn = turn % urls + 1
   return requests[turn]
end

function done(summary, latency, _)
   local errors = summary.errors
   io.write(string.format(
      'RESULT {"requests":%d,"duration_us":%d,"bytes":%d,"p50_us":%d,"p99_us":%d,' ..
      '"errors":{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}}\n',
      summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
      errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
