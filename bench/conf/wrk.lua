-- Prints what wrk's own report lacks: the 99.9th percentile. Times are in microseconds.
function done(summary, latency, requests)
  local e = summary.errors
  print(string.format("report: p50=%d p99=%d p99.9=%d failures=%d",
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    e.connect + e.read + e.write + e.status + e.timeout))
end
