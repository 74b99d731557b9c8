package scripting

import (
	"syscall"
	"testing"
)

func TestFiles(t *testing.T) {
	runSnippets(t, func(b *bench) {
		b.write("read/a.txt", "hello world")
		b.write("secret.txt", "secret")
	}, []snippet{
		{"read", `return fwx.file.open("read/a.txt"):read(6, 5)`, "world"},
		{"short read", `return fwx.file.open("read/a.txt"):read(6, 50)`, "world"},
		{"end of file", `local s, err = fwx.file.open("read/a.txt"):read(11, 5) return tostring(s) .. tostring(err)`, "nilnil"},
		{"read nothing", `return fwx.file.open("read/a.txt"):read(0, 0)`, ""},
		{"read_all", `return fwx.file.open("read/a.txt"):read_all()`, "hello world"},
		{"read_all limit", `local s, err, code = fwx.file.open("read/a.txt"):read_all(4) return code .. ": " .. err`, "EFBIG: read read/a.txt: it is larger than 4 bytes"},
		{"path", `return fwx.file.read("read/a.txt")`, "hello world"},
		{"missing", `local s, err, code = fwx.file.read("read/none") return code .. ": " .. err`, "ENOENT: open read/none: " + syscall.ENOENT.Error()},
		{"not allowed", `local s, err, code = fwx.file.read("secret.txt") return code .. ": " .. err`, `denied: filter "test" is not allowed to read secret.txt: add it to read in [filter.allow]`},
		{"not allowed to write", `local s, err, code = fwx.file.open("read/a.txt", "w") return code .. ": " .. err`, `denied: filter "test" is not allowed to write read/a.txt: add it to write in [filter.allow]`},
		{"dots", `local s, err, code = fwx.file.read("read/../secret.txt") return code`, "denied"},
		{"absolute", `local s, err, code = fwx.file.read("/etc/passwd") return code`, "denied"},
		{"write", `local f = fwx.file.open("var/w", "w+") f:write(3, "abc") f:write(0, "xyz") return f:read_all()`, "xyzabc"},
		{"write count", `return fwx.file.open("var/w", "w"):write(0, "abcd")`, "4"},
		{"sync", `return tostring(fwx.file.open("var/w", "r+"):sync())`, "true"},
		{"stat", `local s = fwx.file.open("read/a.txt"):stat() return s.type .. s.size .. tostring(s.mtime > 1e9)`, "file11true"},
		{"closed", `local f = fwx.file.open("read/a.txt") f:close() f:close() local s, err, code = f:read(0, 1) return code .. ": " .. err`, "closed: read/a.txt is closed"},
		{"write path", `fwx.file.write("var/p", "one") fwx.file.write("var/p", "two") return fwx.file.stat("var/p").size .. fwx.file.read("var/p")`, "3two"},
		{"mkdir, list", `fwx.file.mkdir("var/d/e") fwx.file.write("var/d/b", "") fwx.file.write("var/d/a", "") return table.concat(fwx.file.list("var/d"), " ")`, "a b e"},
		{"rename", `fwx.file.write("var/r1", "r") local ok = fwx.file.rename("var/r1", "var/r2") return tostring(ok) .. fwx.file.read("var/r2")`, "truer"},
		{"remove", `fwx.file.write("var/x", "") return tostring(fwx.file.remove("var/x")) .. select(3, fwx.file.stat("var/x"))`, "trueENOENT"},
		{"append", `local f = fwx.file.open("var/log", "a") f:append("one\n") f:append("two\n") f:close() while fwx.file.read("var/log") ~= "one\ntwo\n" do fwx.sleep(0.001) end return "ok"`, "ok"},
		{"append mode", `return fwx.file.open("var/log", "a"):read(0, 1)`, `!var/log was opened with mode "a": it can be appended to, not read`},
		{"append to another mode", `return fwx.file.open("var/w", "w"):append("x")`, "!append wants mode"},
		{"mode", `return fwx.file.open("var/w", "q")`, `!mode "r", "r+", "w", "w+" or "a" expected, got "q"`},
		{"type", `return fwx.file.open(1)`, "!string expected, got number"},
		{"method", `return fwx.file.open("read/a.txt"):raed(0, 1)`, `!file has no method "raed"; did you mean "read"?`},
		{"offset", `return fwx.file.open("read/a.txt"):read(-1, 1)`, "!a whole number from 0"},
	})
}
