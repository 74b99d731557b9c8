package scripting

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

var reFunctions = []binding{{
	"compile", reCompile, "(pattern: bytes) -> re or fail",
	"An expression in the [syntax of RE2](https://golang.org/s/re2syntax), which is matched in linear time. Compiled ones are " +
		"kept, so it may be called again and again. `\"EINVAL\"`: it is none, or too large: 4096 bytes, 2000 instructions.",
}}

var reMethods = []binding{
	{
		"match", reMatch, "(text: bytes, from?: integer) -> ...: string?",
		"The groups of the first match, or all of it if there are none; `nil` if it does not match. A group that has no part in the " +
			"match is `nil`.",
	},
	{
		"find", reFind, "(text: bytes, from?: integer) -> first: integer?, last: integer?, ...: string?",
		"The first and last position of the first match, and its groups; `nil` if it does not match.",
	},
	{
		"find_all", reFindAll, "(text: bytes, limit?: integer) -> (string|table)[]",
		"All matches. Of an expression with groups each is a table of them, also by their names, with `false` for a group that has " +
			"no part.",
	},
	{
		"replace", reReplace, "(text: bytes, with: bytes|fun(...: string): string?, limit?: integer) -> text: string, count: integer",
		"Replaces all matches. In a text `$1` and `${name}` stand for groups and `$$` for `$`; a function is called with what " +
			"`re:match` returns, and lets the match stand with `nil`.",
	},
	{"split", reSplit, "(text: bytes, limit?: integer) -> string[]", "The parts between the matches; with a limit, at most so many."},
}

var reMeta = []binding{{"__tostring", reToString, "() -> string", "The pattern."}}

const (
	maxPattern  = 4096 // bytes of an expression
	maxCompiled = 2000 // instructions of a compiled one
	maxRegexps  = 256  // that a state keeps
	// longSearch is from how many bytes on a search that is bound to the beginning of the text is measured:
	// most of these end at once.
	longSearch = 256
	// sampleEvery is of how many searches for all matches one is measured.
	sampleEvery = 16
)

// regex is a compiled expression.
type regex struct {
	*regexp.Regexp
	size  int
	start start
	// behind finds the next match behind the first byte of a text, if it matters what
	// is before a match ("^", "\b"): the text then begins a byte early.
	behind *regexp.Regexp
}

// instructionBytes is what an instruction of a compiled expression takes, in all the
// forms that it has.
const instructionBytes = 128

// count estimates what the expression takes.
func (r *regex) count(c *census) { c.bytes += int64(r.size * instructionBytes) }

func compileRegex(pattern string) (*regex, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("more than %d bytes", maxPattern)
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	size := compiledSize(tree)
	if size > maxCompiled {
		return nil, fmt.Errorf("it would be compiled to %d instructions, more than %d", size, maxCompiled)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	r := &regex{Regexp: re, size: size}
	if r.start, err = startOf(tree, re); err != nil {
		return nil, err
	}
	if looksBehind(tree) {
		r.behind, err = regexp.Compile(`\A(?s:.)(?s:.*?)(` + pattern + `)`)
	}
	return r, err
}

// compiledSize estimates the instructions of an expression, before they are made.
func compiledSize(tree *syntax.Regexp) int {
	size := 1
	for _, sub := range tree.Sub {
		size = min(size+compiledSize(sub), 1<<30)
	}
	switch tree.Op { //nolint:exhaustive // All others have their size.
	case syntax.OpLiteral:
		size = len(tree.Rune)
	case syntax.OpCharClass:
		size = 1 + len(tree.Rune)/16
	case syntax.OpRepeat:
		size *= max(tree.Min, tree.Max, 1)
	}
	return size
}

// looksBehind reports whether a match depends on what is before it.
func looksBehind(tree *syntax.Regexp) bool {
	switch tree.Op { //nolint:exhaustive // No other does.
	case syntax.OpBeginLine, syntax.OpBeginText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	return slices.ContainsFunc(tree.Sub, looksBehind)
}

// search returns the places of the first match that begins at from or later, and
// of its groups; nil if there is none. It is not begun if the budget does not suffice to
// look through all of the text.
func (r *regex) search(s *state, L *lua.LState, text string, from int) []int {
	if r.start.anchored {
		switch {
		case from > 0:
			s.meter.charge(searchCost)
			return nil
		case r.start.endless && len(text) > longSearch:
			return r.sample(s, L, text, from, 1)
		}
	}
	if !r.affords(s, text[from:], from > 0) {
		s.meter.Left = -1
		L.RaiseError("%s", s.meter.Err().Error())
	}
	places := r.places(text, from, func(re *regexp.Regexp, text string) []int { return re.FindStringSubmatchIndex(text) })
	end := len(text)
	if places != nil {
		end = places[1]
	}
	s.meter.charge(searchCost + r.cost(text[from:end], from > 0))
	s.meter.look()
	return places
}

// sample is search, at the expense of so many searches that look as far as this one:
// what comes behind a match may have been looked at too.
func (r *regex) sample(s *state, L *lua.LState, text string, from, searches int) []int {
	seen := 0
	places := r.places(text, from, func(re *regexp.Regexp, text string) []int {
		reader := strings.NewReader(text)
		defer func() { seen = len(text) - reader.Len() }()
		return re.FindReaderSubmatchIndex(reader)
	})
	s.meter.charge(searches * (searchCost + r.cost(text[from:min(from+seen, len(text))], from > 0)))
	if s.meter.Left < 0 {
		L.RaiseError("%s", s.meter.Err().Error())
	}
	return places
}

// places returns what find does from a position on, as places in the text.
func (r *regex) places(text string, from int, find func(re *regexp.Regexp, text string) []int) []int {
	re, begin, outer := r.Regexp, from, 0
	if from > 0 && r.behind != nil {
		re, begin, outer = r.behind, from-1, 2
	}
	places := find(re, text[begin:])
	if places == nil {
		return nil
	}
	places = places[outer:]
	for i := range places {
		if places[i] >= 0 {
			places[i] += begin
		}
	}
	return places
}

// each calls a function for each match, up to so many, as Go finds all: an empty
// match right behind another is none.
func (r *regex) each(s *state, L *lua.LState, text string, limit int, found func(places []int)) {
	for from, last, searches := 0, -1, 1; from <= len(text) && limit > 0; searches++ {
		var places []int
		if searches%sampleEvery == 0 && !r.start.whole {
			places = r.sample(s, L, text, from, sampleEvery)
		} else {
			places = r.search(s, L, text, from)
		}
		if places == nil {
			return
		}
		empty := places[1] == places[0]
		if !empty || places[0] != last {
			found(places)
			limit--
		}
		last = places[1]
		from = places[1]
		if empty {
			_, width := utf8.DecodeRuneInString(text[from:])
			from += max(width, 1)
		}
	}
}

// reCompile compiles an expression, or returns the one it has made before.
func reCompile(s *state, L *lua.LState) int {
	pattern := argString(L, 1)
	if object := s.regexps[pattern]; object != nil {
		return give(L, object)
	}
	r, err := compileRegex(pattern)
	if err != nil {
		return giveError(L, invalid("fwx.re.compile: "+strings.TrimPrefix(err.Error(), "error parsing regexp: ")))
	}
	s.meter.charge(len(pattern) + r.size*workPerCompiled)
	if len(s.regexps) >= maxRegexps {
		clear(s.regexps)
	}
	object := s.object(s.types.re, r)
	s.regexps[pattern] = object
	return give(L, object)
}

// argRegex returns the expression that a method is called on, and the text.
func argRegex(s *state, L *lua.LState) (*regex, string) {
	r := argObject[*regex](L, 1, "re")
	if c, ok := userValue(L.Get(2)).(*chunk); ok {
		s.meter.chargeBytes(len(c.bytes(L)))
	}
	return r, argString(L, 2)
}

// pushGroups pushes the groups of a match, or all of it if there are none.
func (r *regex) pushGroups(L *lua.LState, text string, places []int) int {
	if r.NumSubexp() == 0 {
		return give(L, partOf(text, places[0], places[1]))
	}
	for i := 1; i <= r.NumSubexp(); i++ {
		L.Push(group(text, places, i, lua.LNil))
	}
	return r.NumSubexp()
}

// group returns a group of a match; missing if it has no part in it.
func group(text string, places []int, i int, missing lua.LValue) lua.LValue {
	if places[2*i] < 0 {
		return missing
	}
	return partOf(text, places[2*i], places[2*i+1])
}

func reMatch(s *state, L *lua.LState) int {
	r, text := argRegex(s, L)
	places := r.search(s, L, text, argStart(L, len(text)))
	if places == nil {
		return give(L, lua.LNil)
	}
	s.meter.chargeBytes(places[1] - places[0])
	return r.pushGroups(L, text, places)
}

func reFind(s *state, L *lua.LState) int {
	r, text := argRegex(s, L)
	places := r.search(s, L, text, argStart(L, len(text)))
	if places == nil {
		return give(L, lua.LNil)
	}
	L.Push(lua.LNumber(places[0] + 1))
	L.Push(lua.LNumber(places[1]))
	if r.NumSubexp() == 0 {
		return 2
	}
	return 2 + r.pushGroups(L, text, places)
}

// argLimit returns an argument that is the most there shall be of something.
func argLimit(L *lua.LState, n int) int { return int(optInteger(L, n, 0, maxArray, maxArray)) }

func reFindAll(s *state, L *lua.LState) int {
	r, text := argRegex(s, L)
	all := L.NewTable()
	r.each(s, L, text, argLimit(L, 3), func(places []int) {
		all.Append(r.value(s, L, text, places))
	})
	return give(L, all)
}

// value returns a match as a value: a string, or a table of its groups.
func (r *regex) value(s *state, L *lua.LState, text string, places []int) lua.LValue {
	s.meter.charge(r.NumSubexp() + 1)
	if r.NumSubexp() == 0 {
		return partOf(text, places[0], places[1])
	}
	t := L.CreateTable(r.NumSubexp(), 0)
	for i, name := range r.SubexpNames() {
		if i == 0 {
			continue
		}
		v := group(text, places, i, lua.LFalse)
		t.RawSetInt(i, v)
		if name != "" {
			t.RawSetString(name, v)
		}
	}
	return t
}

func reReplace(s *state, L *lua.LState) int {
	r, text := argRegex(s, L)
	fn, isFunction := L.Get(3).(*lua.LFunction)
	var template string
	if !isFunction {
		template = argString(L, 3)
	}
	var out []byte
	done, count := 0, 0
	r.each(s, L, text, argLimit(L, 4), func(places []int) {
		count++
		before := len(out)
		out = append(out, text[done:places[0]]...)
		done = places[1]
		if isFunction {
			out = append(out, r.answer(L, fn, text, places)...)
		} else {
			out = r.ExpandString(out, template, text, places)
		}
		s.checkSize(L, len(out)-before)
		if len(out) > maxStringSize {
			s.checkSize(L, len(out))
		}
	})
	out = append(out, text[done:]...)
	s.checkSize(L, len(out))
	L.Push(textOf(out))
	L.Push(lua.LNumber(count))
	return 2
}

// answer returns what a function of the script replaces a match by.
func (r *regex) answer(L *lua.LState, fn *lua.LFunction, text string, places []int) string {
	L.Push(fn)
	L.Call(r.pushGroups(L, text, places), 1)
	result := L.Get(-1)
	L.Pop(1)
	switch v := result.(type) {
	case *lua.LNilType:
		return text[places[0]:places[1]]
	case lua.LString:
		return string(v)
	}
	L.RaiseError("re:replace: the function returned %s; wants a string or nil", describe(result))
	return ""
}

func reSplit(s *state, L *lua.LState) int {
	r, text := argRegex(s, L)
	limit := int(optInteger(L, 3, 1, maxArray, maxArray))
	all := L.NewTable()
	done := 0
	r.each(s, L, text, limit, func(places []int) { // one of them may part nothing
		if places[1] == 0 || places[0] == len(text) || all.Len() == limit-1 {
			return
		}
		all.Append(partOf(text, done, places[0]))
		done = places[1]
	})
	all.Append(partOf(text, done, len(text)))
	return give(L, all)
}

func reToString(_ *state, L *lua.LState) int {
	return give(L, lua.LString(argObject[*regex](L, 1, "re").String()))
}
