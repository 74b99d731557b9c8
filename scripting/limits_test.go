package scripting

import (
	"testing"

	"fwx/framework/fwxtest/limits"
)

// TestLimitsPage sees that docs/reference/limits.md tells the limits of scripts as they are.
func TestLimitsPage(t *testing.T) {
	const ends = "the handler ends with an error"
	const failed = "`fwx_script_errors_total`"
	limits.Compare(t, "..", "scripts", []limits.Limit{
		limits.Of("instructions that a handler runs without waiting", "`budget`", limits.Count(DefaultBudget), ends, failed, "TestHostile"),
		limits.Of("instructions of a handler in all", "`event_budget`", limits.Count(DefaultEventBudget), ends, failed, "TestHostile"),
		limits.Of("how long a handler holds its worker", "", limits.Time(timeLimit)+"; beyond "+limits.Time(stallLimit)+" the log tells", ends, failed, "TestTimeLimit"),
		limits.Of("what a script keeps on a worker", "`memory`", limits.Size(DefaultMemory), ends, "`fwx_lua_memory_bytes`, "+failed, "TestMemory"),
		limits.Of("handlers in a row that fail", "`breaker`, `breaker_pause`", limits.Count(DefaultBreaker), "the script is left out for "+limits.Time(DefaultBreakerPause), "`fwx_lua_left_out`", "TestBreaker"),
		limits.Of("a string that a function of the host makes", "", limits.Size(maxStringSize), "the call fails", failed, "TestHostile"),
		limits.Of("how deep JSON is nested", "", limits.Count(maxJSONDepth), "the call fails", "", "TestJSON"),
		limits.Of("timers", "", limits.Count(maxTimers), "the call fails", "`fwx_lua_timers`", "TestHostile"),
		limits.Of("posted tasks that wait", "", limits.Count(maxPosted), "the call fails", "", "TestHostile"),
		limits.Of("open files", "", limits.Count(maxFiles), "the call fails", "", "TestHostile"),
		limits.Of("watches of files", "", limits.Count(maxWatches), "the call fails", "", "TestHostile"),
		limits.Of("what a message, a value or an error is in the log", "", limits.Size(maxLogText), "the rest is left out", "", "TestLongTexts"),
		limits.Of("values of a line of the log", "", limits.Count(maxLogValues), "the rest is left out", "", "TestLongTexts"),
	}, *update)
}
