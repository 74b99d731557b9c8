package testkit

import (
	"os"
	"testing"
)

// TestLoaders runs code that the interpreter alone compiles wrongly, by each function that compiles.
func TestLoaders(t *testing.T) {
	check(t, runText(t, `
local swap = "local a, b = 1, 2; a, b = b, a; return a * 10 + b"
local function write(name, text) local f = io.open(name, "w") f:write(text) f:close() end
function T.written(t) local a, b = 1, 2 a, b = b, a t:equal(a * 10 + b, 21) end
function T.loadstring(t) t:equal(loadstring(swap)(), 21) end
function T.load(t)
  local pieces = { swap:sub(1, 9), swap:sub(10) }
  t:equal(load(function() return table.remove(pieces, 1) end)(), 21)
end
function T.loadfile(t) write("swap.txt", swap) t:equal(loadfile("swap.txt")(), 21) end
function T.dofile(t) write("swap.txt", swap) t:equal(dofile("swap.txt"), 21) end
function T.require(t) write("swap.lua", swap) t:equal(require("swap"), 21) end
function T.syntax(t) t:equal({ loadstring("x =", "name") }, { [2] = "name: syntax error at the end of the script" }) end
function T.missing(t) t:truthy(select(2, loadfile("missing")):find("missing")) end
function T.no_module(t) t:error(function() require("missing") end, "missing.lua") end
`, Options{}), map[string]string{
		"written": "", "loadstring": "", "load": "", "loadfile": "", "dofile": "", "require": "",
		"syntax": "", "missing": "", "no_module": "",
	})
	if _, err := os.Stat("swap.lua"); err != nil {
		t.Error(err)
	}
}
