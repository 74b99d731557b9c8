package scripting

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// choices are the decisions that a program is made by. When there are no more, each is 0,
// the simplest: so a program is shrunk by taking choices away.
type choices struct {
	list []int
	at   int
	more *rand.Rand // nil: there are no more
}

// below chooses a number from 0 to n-1.
func (c *choices) below(n int) int {
	if c.at == len(c.list) {
		if c.more == nil {
			return 0
		}
		c.list = append(c.list, c.more.IntN(1<<16))
	}
	c.at++
	return c.list[c.at-1] % n
}

// kind is of what a variable of a program holds.
type kind int

const (
	anyNumber kind = iota // any, also NaN
	small                 // a whole number near 0
	table                 // of numbers
	fn                    // that takes numbers and gives one
	whatever
	kinds
)

// variable is a local of a program.
type variable struct {
	name string
	kind kind
}

// writer writes a program that ends, in one of the two dialects: of lua5.1, or with "goto".
type writer struct {
	c         *choices
	gotos     bool
	text      strings.Builder
	indent    int
	scope     []variable
	names     int
	depth     int
	functions int // that the present place is in
	loops     int // around the present place, in its function
	continues int // of them that have a place to continue
}

// prelude are the functions of each program, and what it does with its result.
const programStart = `local out, fuel = {}, 150
local function show(v)
  if v ~= v then return "nan" end
  if type(v) == "number" then return v == 0 and "0" or string.format("%.14g", v) end
  if type(v) == "string" then return string.format("%q", (v:gsub("0x%x%x%x+", "address"):gsub("%-nan", "nan"):gsub("%-0$", "0"))) end
  if type(v) == "table" then return "table" end
  if type(v) == "function" then return "function" end
  return tostring(v)
end
local function log(...)
  for i = 1, select("#", ...) do out[#out + 1] = show((select(i, ...))) end
end
local function tick(v)
  fuel = fuel - 1
  if fuel < 0 then error("u!fuel") end
  return v
end
local function where(e)
  if type(e) ~= "string" then return show(e) end
  return e:find("u!", 1, true) and e or e:match("^[^:]*:%d+:") or "?"
end
local function num(v) return type(v) == "number" and v or 7 end
local meta = {}
local function object(n) return setmetatable({n = n, 5, 6}, meta) end
local function value(v) return type(v) == "table" and v.n or v end
for _, name in ipairs {"add", "sub", "mul", "div", "mod", "pow", "concat"} do
  meta["__" .. name] = function(a, b) log(name, value(a), value(b)) return object(tick(name == "mul" and a == b and 1 or 2)) end
end
meta.__unm = function(a) log("unm", value(a)) return object(3) end
meta.__eq = function(a, b) log("eq") return a.n == b.n end
meta.__lt = function(a, b) log("lt") return a.n < b.n end
meta.__le = function(a, b) log("le") return a.n <= b.n end
meta.__call = function(self, a, b) log("call", self.n, a, b) return tick(a) end
meta.__index = function(t, k) log("index", k) return rawget(t, "n") end
meta.__newindex = function(t, k, v) log("newindex", k, v) rawset(t, k, v) end
local kept, global = {}, "program"
local function main(...)
`

const programEnd = `end
log("end", pcall(function() local ok, e = pcall(main, 1, "two", nil, 4.5) log(ok, where(e)) end))
for i = 1, #kept do local ok, v = pcall(kept[i], i) log(ok, ok and v or where(v)) end
return table.concat(out, " ")
`

// writeProgram writes the program of some choices.
func writeProgram(c *choices, gotos bool) string {
	c.at = 0
	w := &writer{c: c, gotos: gotos, indent: 1}
	w.text.WriteString(programStart)
	for range 2 {
		w.declare()
	}
	w.block(4 + c.below(8))
	w.text.WriteString(programEnd)
	return w.text.String()
}

func (w *writer) line(format string, values ...any) {
	w.text.WriteString(strings.Repeat("  ", w.indent))
	fmt.Fprintf(&w.text, format, values...)
	w.text.WriteByte('\n')
}

// pick returns one of some texts.
func (w *writer) pick(texts ...string) string { return texts[w.c.below(len(texts))] }

// inside writes what is in a block of its own.
func (w *writer) inside(write func()) {
	known := len(w.scope)
	w.indent++
	write()
	w.indent--
	w.scope = w.scope[:known]
}

func (w *writer) block(n int) {
	w.depth++
	for range n {
		w.statement()
	}
	w.depth--
}

func (w *writer) body() { w.block(1 + w.c.below(4)) }

func (w *writer) statement() {
	simple := []func(){w.log, w.assign, w.assignSeveral, w.declare, w.declareSeveral, w.store, w.keep, w.logic}
	nested := []func(){
		w.conditional, w.numeric, w.generic, w.while, w.repeated, w.do, w.function, w.protected, w.leave, w.next, w.iterate,
	}
	if w.depth < 5 {
		simple = append(simple, nested...)
	}
	simple[w.c.below(len(simple))]()
}

// of returns a variable of a kind, if there is one.
func (w *writer) of(k kind) (string, bool) {
	var names []string
	for _, v := range w.scope {
		if v.kind == k {
			names = append(names, v.name)
		}
	}
	if len(names) == 0 {
		return "", false
	}
	return names[len(names)-1-w.c.below(len(names))], true
}

func (w *writer) fresh(k kind) string {
	w.names++
	prefix := map[kind]string{anyNumber: "n", small: "i", table: "t", fn: "f", whatever: "v"}[k]
	name := fmt.Sprint(prefix, w.names)
	if w.c.below(8) == 1 { // one that is known already
		if known, ok := w.of(k); ok {
			name = known
		}
	}
	return name
}

func (w *writer) kind() kind { return kind(w.c.below(int(kinds))) }

func (w *writer) log() { w.line("log(%s)", w.list()) }

func (w *writer) list() string {
	values := []string{w.expr(w.kind(), 3)}
	for range w.c.below(3) {
		values = append(values, w.expr(w.kind(), 2))
	}
	if w.c.below(3) == 1 {
		values = append(values, w.several())
	}
	return strings.Join(values, ", ")
}

// several is an expression that gives any number of values.
func (w *writer) several() string {
	if w.functions == 0 && w.c.below(2) == 1 {
		return "..."
	}
	if f, ok := w.of(fn); ok {
		return fmt.Sprintf("%s(%s)", f, w.expr(anyNumber, 1))
	}
	return "unpack({1, nil, 3}, 1, 3)"
}

func (w *writer) declare() {
	k := w.kind()
	value, name := w.expr(k, 3), w.fresh(k)
	w.line("local %s = %s", name, value)
	w.scope = append(w.scope, variable{name, k})
}

func (w *writer) declareSeveral() {
	k, l := w.kind(), w.kind()
	if w.c.below(3) == 1 {
		k, l = whatever, whatever
		values, a, b := w.list(), w.fresh(k), w.fresh(l)
		w.line("local %s, %s = %s", a, b, values)
		w.scope = append(w.scope, variable{a, k}, variable{b, l})
		return
	}
	values := w.expr(k, 2) + ", " + w.expr(l, 2)
	a := w.fresh(k)
	b := w.fresh(l)
	if a == b {
		return
	}
	w.line("local %s, %s = %s", a, b, values)
	w.scope = append(w.scope, variable{a, k}, variable{b, l})
}

// target is something of a kind to assign to.
func (w *writer) target(k kind) string {
	switch w.c.below(5) {
	case 1:
		if k == whatever {
			return "global"
		}
	case 2:
		if t, ok := w.of(table); ok && (k == anyNumber || k == small) {
			return t + w.pick("[1]", "[tick(1)]")
		}
	case 3:
		if t, ok := w.of(table); ok && k == whatever {
			return t + w.pick(".x", ".y", "[tick('z')]")
		}
	}
	if name, ok := w.of(k); ok && k != fn { // functions call those before them only, and so end
		return name
	}
	return "global"
}

func (w *writer) assign() {
	k := w.kind()
	w.line("%s = %s", w.target(k), w.expr(k, 3))
}

func (w *writer) logic() { w.line("%s = %s", w.target(whatever), w.expr(whatever, 4)) }

func (w *writer) assignSeveral() {
	n := 2 + w.c.below(3)
	targets, values := make([]string, 0, n+1), make([]string, 0, n+1)
	for range n {
		k := w.kind()
		targets, values = append(targets, w.target(k)), append(values, w.expr(k, 2))
	}
	switch w.c.below(6) {
	case 1: // values of one call
		for i := range targets {
			targets[i] = w.target(whatever)
		}
		values = append(values[:0], w.several())
	case 2: // one too many
		values = append(values, w.several())
	case 3: // one too few
		targets = append(targets, w.target(whatever))
	}
	w.line("%s = %s", strings.Join(targets, ", "), strings.Join(values, ", "))
}

func (w *writer) store() {
	if t, ok := w.of(table); ok {
		w.line("do local N = %s; %s[#%s + 1] = N end", w.expr(anyNumber, 2), t, t) // without a hole, whatever the value does to the table
		return
	}
	w.declare()
}

// keep keeps a closure, which is called when all is over.
func (w *writer) keep() {
	w.line("if #kept < 12 then kept[#kept + 1] = %s end", w.closure())
}

// closure is a function of few lines. It uses variables around it.
func (w *writer) closure() string {
	w.functions++
	defer func() { w.functions-- }()
	inner := &writer{c: w.c, gotos: w.gotos, indent: w.indent + 1, scope: append([]variable{}, w.scope...), names: w.names, depth: 5, functions: 1}
	inner.scope = append(inner.scope, variable{"p", anyNumber})
	inner.block(w.c.below(3))
	w.names = inner.names
	return fmt.Sprintf("function(p)\n%sp = num(p) tick()\n%s%sreturn %s\n%send", strings.Repeat("  ", w.indent+1),
		inner.text.String(), strings.Repeat("  ", w.indent+1), inner.expr(anyNumber, 2), strings.Repeat("  ", w.indent))
}

func (w *writer) conditional() {
	w.line("if %s then", w.expr(whatever, 3))
	w.inside(w.body)
	for range w.c.below(2) {
		w.line("elseif %s then", w.expr(whatever, 2))
		w.inside(w.body)
	}
	if w.c.below(2) == 1 {
		w.line("else")
		w.inside(w.body)
	}
	w.line("end")
}

// loop writes the body of a loop, which can be continued early.
func (w *writer) loop(variables ...variable) {
	continues, loops := w.continues, w.loops
	w.loops++
	w.continues = 0
	if w.c.below(3) == 1 {
		w.continues = w.loops
	}
	w.inside(func() {
		w.scope = append(w.scope, variables...)
		w.line("tick()")
		switch {
		case w.continues == 0:
			w.body()
		case w.gotos:
			w.line("do")
			w.inside(w.body)
			w.line("end ::continue::")
		default:
			w.line("repeat")
			w.inside(w.body)
			w.line("until true")
		}
	})
	w.continues, w.loops = continues, loops
}

func (w *writer) numeric() {
	name := w.fresh(small)
	w.line("for %s = %s, %s%s do", name, w.expr(small, 1), w.expr(small, 1), w.pick("", ", 2", ", -1", ", 0.5"))
	w.loop(variable{name, small})
	w.line("end")
}

func (w *writer) generic() {
	t := w.expr(table, 2)
	k, v := w.fresh(small), w.fresh(whatever)
	w.line("for %s, %s in %s do", k, v, w.pick("ipairs("+t+")", "ipairs("+t+"), nil", "(ipairs("+t+"))"))
	w.loop(variable{k, small}, variable{v, whatever})
	w.line("end")
}

// iterate is a loop over an iterator that wants its values.
func (w *writer) iterate() {
	limit := strconv.Itoa(w.c.below(5))
	name := w.fresh(small)
	up := "function(s, i) i = (i or 0) + 1 if i <= (s or 2) then return i end end"
	header := w.pick("%s, %s", "%s, %s, nil", "%s, (tick(%s))", "%s, tick(%s)", "tick(%s), tick(%s), tick(1)", "(%s), %s, 0, log(3)")
	w.line("for %s in "+header+" do", name, up, limit)
	w.loop(variable{name, small})
	w.line("end")
}

func (w *writer) while() {
	w.names++
	counter := fmt.Sprint("L", w.names)
	w.line("local %s = 0", counter)
	w.line("while %s do", w.pick(counter+" < 3", "true", "("+counter+" < 3 and "+w.expr(whatever, 2)+")", "not (not "+w.expr(whatever, 2)+" or "+counter+" > 2)", "false", "nil"))
	w.inside(func() {
		w.line("%s = %s + 1", counter, counter)
		w.line("if %s > 4 then break end", counter)
	})
	w.loop()
	w.line("end")
}

func (w *writer) repeated() {
	w.names++
	counter := fmt.Sprint("L", w.names)
	w.line("local %s = 0", counter)
	w.line("repeat")
	w.inside(func() {
		w.line("%s = %s + 1", counter, counter)
		w.line("local R = %s", w.expr(whatever, 2))
	})
	w.loop()
	w.line("until %s > 3 or %s", counter, w.pick("R", "true", "false", "not R", w.expr(whatever, 2), "(function() return R end)()"))
}

func (w *writer) do() {
	w.line("do")
	w.inside(w.body)
	w.line("end")
}

func (w *writer) function() {
	w.names++
	name := "f" + strconv.Itoa(w.names) // a new one: none calls itself
	header := w.pick("local function %s(%s)", "local %s = function(%s)")
	parameters := []string{"", "a", "a, b", "a, b, c", "a, ...", "..."}[w.c.below(6)]
	known, loops, continues, functions := len(w.scope), w.loops, w.continues, w.functions
	w.loops, w.continues = 0, 0
	if !strings.Contains(parameters, "...") {
		w.functions++
	} else {
		w.functions = 0
	}
	w.line(header, name, parameters)
	w.inside(func() {
		w.line("tick()")
		for _, p := range []string{"a", "b", "c"} {
			if strings.Contains(parameters, p) {
				w.scope = append(w.scope, variable{p, whatever})
			}
		}
		if strings.Contains(parameters, "a") {
			w.line("local na = num(a)")
			w.scope = append(w.scope, variable{"na", anyNumber})
		}
		w.body()
		w.line("return %s", w.pick(w.expr(anyNumber, 2), "num("+w.expr(whatever, 2)+"), "+w.expr(anyNumber, 2), "num("+w.several()+")"))
	})
	w.line("end")
	w.scope = append(w.scope[:known], variable{name, fn})
	w.loops, w.continues, w.functions = loops, continues, functions
}

func (w *writer) protected() {
	loops, continues := w.loops, w.continues
	w.loops, w.continues = 0, 0
	w.functions++
	w.line("local P, E = pcall(function()")
	w.inside(func() {
		w.body()
		w.line("%s", w.pick("return 1", "error('u!here')", "error({})", "local x = nil + 1", "return global.x.y", "if "+w.expr(whatever, 2)+" then error(nil) end"))
	})
	w.line("end)")
	w.functions--
	w.loops, w.continues = loops, continues
	w.line("log(P, where(E))")
}

func (w *writer) leave() {
	switch {
	case w.loops > 0 && w.continues == 0:
		w.line("if %s then break end", w.expr(whatever, 2))
	case w.c.below(3) == 1:
		w.line("do return %s end", w.expr(anyNumber, 1))
	default:
		w.log()
	}
}

// next continues a loop.
func (w *writer) next() {
	switch {
	case w.continues == 0 || w.loops != w.continues:
		w.log()
	case w.gotos:
		w.line("if %s then goto continue end", w.expr(whatever, 2))
	default:
		w.line("if %s then break end", w.expr(whatever, 2))
	}
}

// expr writes an expression of a kind.
func (w *writer) expr(k kind, depth int) string {
	if depth <= 0 {
		return w.leaf(k)
	}
	switch k {
	case anyNumber:
		return w.number(depth)
	case small:
		return w.small(depth)
	case table:
		return w.table(depth)
	case fn:
		return w.leaf(fn)
	default:
		return w.whatever(depth)
	}
}

func (w *writer) leaf(k kind) string {
	if w.c.below(3) > 0 {
		if name, ok := w.of(k); ok {
			return name
		}
	}
	switch k {
	case anyNumber:
		return w.pick("1", "0", "2", "-1", "0.5", "-2.5", "3", "1e15", "2^53", "-2^31", "1e308", "(1/0)", "(0/0)", "0x10", "07", "100", ".25", "3.", "1E2")
	case small:
		return w.pick("1", "0", "2", "3", "-1", "-3", "5")
	case table:
		return w.pick("({})", "({1, 2})", "({3, 1, 2})", "({n = 1})")
	case fn:
		return w.pick("num", "tick", "(function(p) return num(p) end)")
	default:
		return w.pick("nil", "true", "false", "1", "0", "''", "'a'", "'10'", "' 5 '", "'0x10'", "global", "{}", "object(2)", "7")
	}
}

func (w *writer) number(depth int) string {
	a := func() string { return w.expr(anyNumber, depth-1) }
	switch w.c.below(13) {
	case 1:
		return fmt.Sprintf("(%s %s)", a(), w.operation(depth))
	case 2:
		return fmt.Sprintf("(-(%s))", w.pick("1", "2.5", "1e15", "'3'", "(0/0)"))
	case 3:
		return fmt.Sprintf("(%s and %s or %s)", w.expr(whatever, depth-1), a(), a())
	case 4:
		return fmt.Sprintf("num(%s)", w.expr(whatever, depth-1))
	case 5:
		return fmt.Sprintf("(%s)(%s)", w.expr(fn, 0), w.list())
	case 6:
		return "#" + w.expr(table, depth-1)
	case 7:
		return fmt.Sprintf("num(%s[%s])", w.leaf(table), w.expr(small, depth-1))
	case 8:
		return fmt.Sprintf("tick(%s)", a())
	case 9:
		return fmt.Sprintf("(%s %% %s + 0)", w.expr(small, depth-1), w.pick("3", "-3", "5", "7", "-1"))
	case 10:
		return fmt.Sprintf("(%s %s)", w.pick("'10'", "' 3 '", "'0x10'", "'1e1'", "'010'", "'-5'"), w.operation(depth))
	case 11:
		return fmt.Sprintf("num(%s or %s)", w.expr(whatever, depth-1), a())
	}
	return w.leaf(anyNumber)
}

// operation is an operator and its right operand. Nothing is divided by 0, which may be -0 in Lua.
func (w *writer) operation(depth int) string {
	if w.c.below(4) == 1 {
		return w.pick("/ 2", "/ -4", "/ '2'", "/ (1/0)", "/ 0.1")
	}
	return w.pick("+ ", "- ", "* ") + w.expr(anyNumber, depth-1)
}

func (w *writer) small(depth int) string {
	switch w.c.below(6) {
	case 1:
		return "#" + w.leaf(table)
	case 2:
		return fmt.Sprintf("(%s %% %s + 0)", w.expr(small, depth-1), w.pick("3", "-3", "5", "7"))
	case 3:
		return fmt.Sprintf("(%s and %s or %s)", w.expr(whatever, depth-1), w.expr(small, depth-1), w.leaf(small))
	}
	return w.leaf(small)
}

func (w *writer) table(depth int) string {
	switch w.c.below(5) {
	case 1:
		return fmt.Sprintf("{%s}", w.fields(depth))
	case 2:
		return fmt.Sprintf("(%s and %s or %s)", w.expr(whatever, depth-1), w.leaf(table), w.leaf(table))
	case 3:
		return fmt.Sprintf("{unpack(%s)}", w.leaf(table))
	}
	return w.leaf(table)
}

// fields are those of a table, whose values are numbers where they have no name.
func (w *writer) fields(depth int) string {
	fields := make([]string, 0, 60)
	if w.c.below(6) == 1 {
		for i := range 48 + w.c.below(4) {
			fields = append(fields, strconv.Itoa(i))
		}
	}
	for range w.c.below(5) {
		switch w.c.below(3) {
		case 1:
			fields = append(fields, "x = "+w.expr(whatever, depth-1))
		case 2:
			fields = append(fields, "y = "+w.several())
		default:
			fields = append(fields, w.expr(anyNumber, depth-1))
		}
	}
	if w.c.below(3) == 1 {
		if f, ok := w.of(fn); ok {
			fields = append(fields, fmt.Sprintf("%s(%s)", f, w.leaf(anyNumber)))
		}
	}
	return strings.Join(fields, ", ")
}

func (w *writer) whatever(depth int) string {
	a := func() string { return w.expr(whatever, depth-1) }
	switch w.c.below(16) {
	case 1:
		return fmt.Sprintf("(%s and %s)", a(), a())
	case 2:
		return fmt.Sprintf("(%s or %s)", a(), a())
	case 3:
		return "not " + a()
	case 4:
		return fmt.Sprintf("%s %s %s", w.leaf(whatever), w.pick("==", "~="), w.leaf(whatever))
	case 5:
		return fmt.Sprintf("(%s %s %s)", w.expr(anyNumber, depth-1), w.pick("<", "<=", ">", ">=", "==", "~="), w.expr(anyNumber, depth-1))
	case 6:
		return fmt.Sprintf("tick(%s)", a())
	case 7:
		return w.expr(anyNumber, depth-1)
	case 8:
		return fmt.Sprintf("('s' .. %s .. %s)", w.leaf(small), w.pick("'e'", "1", "0.1", "-1", "2^53", "1e100", w.leaf(anyNumber)))
	case 9:
		return fmt.Sprintf("(object(1) %s %s)", w.pick("+", "-", "*", "/", "%", "^", ".."), w.pick("object(4)", "1", "'x'", w.leaf(small)))
	case 10:
		return fmt.Sprintf("(%s %s object(4))", w.pick("2", "'10'", "object(4)"), w.pick("+", "-", "*", "/", "%", "^", ".."))
	case 11:
		return fmt.Sprintf("(object(%s) %s object(2))", w.leaf(small), w.pick("<", "<=", ">", ">=", "==", "~="))
	case 12:
		return w.pick("-object(1)", "object(1).k", "object(2)[1]", "#object(3)", "object(1)(2, 3)", "not object(1)")
	case 13:
		return fmt.Sprintf("%s%s", w.leaf(table), w.pick(".x", ".y", "[1]"))
	case 14:
		return fmt.Sprintf("%s(%s)", w.pick("tostring", "type", "tonumber"), w.leaf(whatever))
	}
	return w.leaf(whatever)
}
